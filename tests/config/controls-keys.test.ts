// Every key of runtime-controls.yaml and of the runtime's own block for capability sessions arrives in the configuration, or
// is refused with the reason. What each then does is shown where it is done.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { RuntimeConfig } from '../../src/config/types.ts';
import { verifies } from '../e2e/verifies.ts';
import { BUNDLED, load, refusal } from './fixture.ts';

type Tree = Record<string, unknown>;

/** By key: another value than the bundled one, and where it arrives. */
const KEYS: Record<string, [unknown, (config: RuntimeConfig) => unknown, unknown?]> = {
  resume_allowed: [false, ({ controls }) => controls.resumeAllowed],
  background_mode_allowed: [false, ({ controls }) => controls.backgroundModeAllowed],
  max_wait_seconds: [7, ({ controls }) => controls.maxWaitSeconds],
  on_expiry: ['keep', ({ controls }) => controls.onExpiry],
  capability_session_owner: ['team-x', ({ controls }) => controls.capabilitySessionOwner],
  'delegated_authorization/authorization_mode': [
    'any',
    ({ controls }) => controls.delegation?.authorizationMode,
  ],
  'delegated_authorization/on_authorization_revoke': [
    'cancel',
    ({ controls }) => controls.delegation?.onRevoke,
  ],
  'capability_sessions/session_mode': ['per_call', (config) => sessions(config).mode],
  'capability_sessions/track_session_ids': [false, (config) => sessions(config).trackIds],
  'capability_sessions/resume_allowed': [false, (config) => sessions(config).resumeAllowed],
  'capability_sessions/allow_progress_events': [false, (config) => sessions(config).progress],
  'capability_sessions/allow_elicitation': [false, (config) => sessions(config).elicitation],
  'capability_sessions/resume_policy': ['always_reinitialize', (config) => sessions(config).resumePolicy],
  'capability_sessions/on_session_expiry': ['cancel', (config) => sessions(config).onExpiry],
  'capability_sessions/reinit_requires_approval': [true, (config) => sessions(config).reinitRequiresApproval],
  'capability_sessions/expiry_signal_owner': ['team-y', (config) => sessions(config).expirySignalOwner],
  'capability_sessions/expiry_policy/idle_seconds': [9, (config) => sessions(config).idleSeconds],
  'capability_sessions/expiry_policy/max_open': [9, (config) => sessions(config).maxOpen],
  'capability_sessions/elicitation/max_schema_bytes': [99, (config) => sessions(config).input.maxSchemaBytes],
  'capability_sessions/elicitation/max_schema_depth': [9, (config) => sessions(config).input.maxSchemaDepth],
  'capability_sessions/elicitation/max_reply_bytes': [99, (config) => sessions(config).input.maxReplyBytes],
  'capability_sessions/elicitation/open_seconds': [9, (config) => sessions(config).input.openSeconds],
  'capability_sessions/elicitation/max_per_call': [9, (config) => sessions(config).input.maxPerCall],
  'capability_sessions/sampling': ['client', (config) => sessions(config).sampling],
  'capability_sessions/roots': ['sandbox', (config) => sessions(config).roots],
};

/** Keys with one value: they say how it is, and any other is refused. */
const SAID = ['delegated_principal_policy', 'token_reuse_policy', 'subagent_inheritance', 'resume'].map(
  (key) => `delegated_authorization/${key}`,
);

const REFUSED = ['contract_version', 'pause_allowed'];

function sessions({ controls }: RuntimeConfig): RuntimeConfig['controls']['capabilitySessions'] {
  return controls.capabilitySessions;
}

function withKey(root: string, path: string, value: unknown): (text: string) => string {
  return (text) => {
    const file = parse(text) as Tree;
    let at = file[root] as Tree;
    const names = path.split('/');
    for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Tree;
    at[names.at(-1)!] = value;
    return stringify(file);
  };
}

function leaves(schema: Tree, path = ''): string[] {
  const properties = schema.properties as Record<string, Tree> | undefined;
  if (properties === undefined) return [path];
  return Object.entries(properties).flatMap(([name, child]) =>
    leaves(child, path === '' ? name : `${path}/${name}`),
  );
}

verifies(['CS-08'], 'every key of runtime-controls.yaml arrives where it has its effect', async () => {
  const plain = await load();
  for (const [path, [value, read]] of Object.entries(KEYS)) {
    const config = await load({ 'runtime-controls.yaml': withKey('runtime_controls', path, value) });
    expect(read(config), path).toBe(value);
    expect(read(plain), path).not.toBe(value);
  }
  const schema = JSON.parse(
    await readFile(join(BUNDLED, 'schema', 'runtime-controls.schema.json'), 'utf8'),
  ) as { properties: { runtime_controls: Tree } };
  const known = leaves(schema.properties.runtime_controls).filter(
    (path) => !path.startsWith('sandbox_profile'),
  );
  expect(known.sort()).toEqual([...Object.keys(KEYS), ...SAID, ...REFUSED].sort());
});

test('a key that would have no effect is refused with the reason', async () => {
  for (const path of REFUSED) {
    const { problems } = await refusal({
      'runtime-controls.yaml': withKey('runtime_controls', path, path === 'pause_allowed' ? true : 'v5'),
    });
    expect(problems.map(({ message }) => message).join(), path).toContain(`${path} has no effect: `);
  }
});

test('a key that says how it is takes no other value', async () => {
  for (const path of SAID) {
    const { problems } = await refusal({
      'runtime-controls.yaml': withKey('runtime_controls', path, 'otherwise'),
    });
    expect(problems, path).toHaveLength(1);
  }
});

verifies(
  ['CS-08'],
  "what the runtime's own block switches off is off, whatever the controls say",
  async () => {
    const off = async (key: string): Promise<RuntimeConfig['controls']['capabilitySessions']> =>
      sessions(await load({ 'runtime.yaml': withKey('runtime', `capability_sessions/${key}`, false) }));
    expect(await off('track_session_ids')).toMatchObject({ trackIds: false, progress: true });
    expect(await off('emit_progress_events')).toMatchObject({ trackIds: true, progress: false });
    expect(await off('support_reinit_on_expiry')).toMatchObject({ onExpiry: 'cancel', progress: true });
  },
);
