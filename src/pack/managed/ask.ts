// Owns what may be asked of a run: its bounds and what it brings, judged before anything is recorded.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { PackDeps } from '../deps.ts';
import { DEFAULT_MAX_TURNS } from '../loop/loop.ts';
import type { LiveState } from '../sessions/session.ts';
import { assertPrecheck, delegationOf } from '../turn/authorize.ts';
import type { TurnMessage } from '../turn/contract.ts';
import { parseTurnInput } from '../turn/input.ts';
import type { RunManaged } from './contract.ts';
import { isUnknown } from './next-step.ts';

export interface Asked {
  maxTurns: number;
  messages: TurnMessage[];
  accepted: string[];
  reason: NonNullable<RunManaged['reason']>;
}

const MOST_TURNS = 1_000;
// Messages wait only while turns are refused before they begin; more than this is a caller that does not look.
const MOST_UNTAKEN = 32;

function refuse(field: string, why: string): never {
  throw new RuntimeError('INVALID_INPUT', `${field}: ${why}`, { field });
}

/** A caller in JavaScript may hand over anything. */
function acceptedOf(given: readonly unknown[]): string[] {
  const wrong = given.findIndex((id) => typeof id !== 'string' || id === '');
  if (wrong >= 0) refuse(`/acceptUnknown/${wrong}`, 'must be the id of a call');
  return [...new Set(given as readonly string[])];
}

/** Throws INVALID_INPUT with `details.field`. */
export function parseAsked(how: RunManaged): Asked {
  const { maxTurns = DEFAULT_MAX_TURNS, continuationMessages, acceptUnknown = [], reason = 'resumed' } = how;
  if (!Number.isInteger(maxTurns) || maxTurns < 1 || maxTurns > MOST_TURNS) {
    refuse('/maxTurns', `must be a whole number from 1 to ${MOST_TURNS}`);
  }
  const { messages } = parseTurnInput({ messages: continuationMessages ?? [] });
  const stranger = messages.findIndex(({ role }) => role !== 'user' && role !== 'tool');
  if (stranger >= 0)
    refuse(
      `/continuationMessages/${stranger}/role`,
      'a session that goes on takes user and tool messages only',
    );
  return { maxTurns, messages, accepted: acceptedOf(acceptUnknown), reason };
}

/** Only a call whose effect is really unknown can be taken note of; anything else is a mistake worth hearing of. */
export function assertFits(asked: Asked, { calls, managed }: LiveState): void {
  for (const id of asked.accepted) {
    const call = calls.find((one) => one.id === id);
    const isKnown = managed?.accepted.includes(id) === true;
    if (!isKnown && (call === undefined || !isUnknown(call, []))) {
      refuse('/acceptUnknown', `there is no call of unknown effect ${id.slice(0, 80)} in this session`);
    }
  }
  if (asked.messages.length > 0 && (managed?.untaken.length ?? 0) >= MOST_UNTAKEN) {
    refuse('/continuationMessages', 'too many messages wait for a turn; find out why no turn begins');
  }
}

/**
 * The run pre-check and the delegation, anew before every turn: neither is believed because it once held. A call needs no
 * word from here: the kernel's door looks for itself, and takes back what was approved under a grant that is gone.
 */
export async function assertMaySpeak(
  { config, refreshGrants }: Pick<PackDeps, 'config' | 'refreshGrants'>,
  acting: Caller,
  { facts }: LiveState,
): Promise<void> {
  assertPrecheck(config, acting, facts.agentId);
  const { mode, delegatedPrincipalId, delegatedScope } = facts.delegation;
  if (mode === 'platform_owned') return;
  await refreshGrants?.();
  delegationOf(config, acting, {
    mode,
    delegated_principal_id: delegatedPrincipalId,
    delegated_scope: delegatedScope,
  });
}
