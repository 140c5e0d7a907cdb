// Owns who stands behind this terminal or pipe: the person of this machine, with what identity.yaml gives to stdio.
import { userInfo } from 'node:os';
import type { IdentityConfig } from '../config/types.ts';
import type { Answerer } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';

/** `os:<uid>`; on systems without numeric users, `os:<name>`. */
export function osPrincipal(): string {
  const uid = process.getuid?.();
  return `os:${uid ?? userInfo().username}`;
}

/** The caller of a stdio connection or of a command: one actor per process. */
export function localCaller(identity: IdentityConfig, pid: number = process.pid): Caller {
  const { tenant, principal, roles, scopes, lane } = identity.stdio;
  return {
    tenant,
    principal: principal ?? osPrincipal(),
    actor: `stdio:${pid}`,
    roles,
    scopes,
    lane: lane ?? 'default',
  };
}

/** The same person answering an approval at a terminal: attested by being the same user, nothing more. */
export function localAnswerer(identity: IdentityConfig): Answerer {
  const { tenant, principal, roles } = localCaller(identity);
  return { tenant, principal, roles, attestation: 'same_user', channel: 'terminal' };
}
