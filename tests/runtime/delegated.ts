// Delegation as tests grant it and take it back: in a configuration, and in the file that it came from.
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DelegationGrant, RuntimeConfig } from '../../src/config/types.ts';
import { PACKAGE_ROOT } from '../config/fixture.ts';
import { CALLER, configFor, open, place } from './rig.ts';
import type { Bench, Place } from './rig.ts';

export const GRANT: DelegationGrant = {
  actor: CALLER.actor,
  principal: 'anna',
  scope: 'errands',
  capabilities: ['note', 'pay'],
};
export const AUTHORIZATION = {
  mode: 'user_delegated',
  delegated_principal_id: 'anna',
  delegated_scope: 'errands',
} as const;

export function withGrants(
  at: Place,
  delegations: DelegationGrant[],
  onRevoke: 'cancel' | 'cancel_or_reapprove',
): RuntimeConfig {
  const config = configFor(at);
  return {
    ...config,
    // As loading does: who may act for whom is part of the policy's digest.
    policy: { ...config.policy, digest: `sha256:policy-${delegations.length}` },
    identity: { ...config.identity, delegations },
    controls: { ...config.controls, delegation: { authorizationMode: 'any', onRevoke } },
  };
}

/** identity.yaml as it lies on disk: with the grant, with less of it, without it. */
export const GRANTED: string = `identity: { delegations: [{ actor: '${CALLER.actor}', principal: anna, scope: errands, capabilities: [note, pay] }] }\n`;
export const NARROWED: string = GRANTED.replace('[note, pay]', '[note]');
export const WITHOUT: string = 'identity: { delegations: [] }\n';

export interface Live {
  bench: Bench;
  onDisk: (text: string) => Promise<void>;
}

/** A runtime whose configuration lies in files, as it does for a server. */
export async function live(onRevoke: 'cancel' | 'cancel_or_reapprove'): Promise<Live> {
  const at = await place();
  const directory = join(at.root, 'configs');
  await mkdir(directory);
  await cp(join(PACKAGE_ROOT, 'configs'), directory, { recursive: true });
  const path = join(directory, 'identity.yaml');
  await writeFile(path, GRANTED);
  const config = { ...withGrants(at, [GRANT], onRevoke), directory };
  // A file of its own each time, so that no clock decides whether it is seen.
  const onDisk = async (text: string): Promise<void> => {
    await rm(path);
    await writeFile(path, text);
  };
  return { bench: await open(at, { config }), onDisk };
}
