// Owns the birth of a managed session: its input is judged whole, and then it is there in one commit, or not at all.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import { together } from '../background/queue.ts';
import type { PackDeps } from '../deps.ts';
import { TASK_TYPE } from '../records.ts';
import type { SessionFacts } from '../sessions/session.ts';
import { sessionChainOf, sessionNotFound } from '../sessions/sessions.ts';
import type { Advance, HeldSession } from '../sessions/sessions.ts';
import { assertPrecheck } from '../turn/authorize.ts';
import type { TurnInput } from '../turn/contract.ts';
import { parseTurnInput } from '../turn/input.ts';
import { withShownLabels } from '../turn/labels.ts';
import { mintFacts } from '../turn/prepare.ts';
import { admissionCommit } from './commits.ts';
import type { Admission } from './commits.ts';
import type { CreateManaged, StartManaged } from './contract.ts';
import { loadManaged } from './room.ts';
import type { ManagedRoom } from './room.ts';

export interface Created {
  session_id: string;
  run_id: string;
}

// As ids are minted: 128 random bits. A handle that could be guessed is none.
const SESSION_ID = /^ses_[0-9a-z]{26}$/;

function refuse(field: string, why: string): never {
  throw new RuntimeError('INVALID_INPUT', `${field}: ${why}`, { field });
}

function judged(input: Pick<CreateManaged, 'executeTurnInput' | 'sessionId'>): TurnInput {
  const turn = parseTurnInput(input.executeTurnInput);
  if (turn.session_id !== undefined) {
    refuse(
      '/executeTurnInput/session_id',
      'a session that is started gets a handle of its own; resume an existing one',
    );
  }
  if (turn.messages.length === 0)
    refuse('/executeTurnInput/messages', 'there is nothing to say to the model');
  if (input.sessionId !== undefined && !SESSION_ID.test(input.sessionId)) {
    refuse('/sessionId', 'must be an id that was minted for a session');
  }
  return turn;
}

/** The session that is there already under this id; a foreign one answers like none. */
async function existing(room: ManagedRoom, caller: Caller, id: string): Promise<Created | undefined> {
  if ((await room.deps.store.head(sessionChainOf(caller.tenant, id))) === undefined) return undefined;
  const { state } = await loadManaged(room, caller, id);
  return { session_id: id, run_id: (state.run ?? state.lastRun)?.runId ?? '' };
}

/** What the session is bound to; a claim to act for somebody is held against the grants of now. */
async function factsOf(
  deps: PackDeps,
  caller: Caller,
  turn: TurnInput,
  id: string | undefined,
): Promise<SessionFacts> {
  if (turn.authorization !== undefined) await deps.refreshGrants?.();
  return mintFacts(deps, caller, turn, id);
}

/** A session that is about to be: judged, and nothing of it recorded. */
export type Birth = Pick<Admission, 'facts' | 'context' | 'input' | 'managed'>;

/** Judges the input whole. A session that is there already under the id that was given is no birth. */
export async function birthOf(
  room: ManagedRoom,
  caller: Caller,
  input: StartManaged,
): Promise<Birth | Created> {
  const { deps } = room;
  assertPrecheck(deps.config, caller);
  const turn = withShownLabels(deps.kernel, judged(input));
  const known = input.sessionId === undefined ? undefined : await existing(room, caller, input.sessionId);
  if (known !== undefined) return known;
  const facts = await factsOf(deps, caller, turn, input.sessionId);
  const context: RunContext = {
    caller,
    agentId: facts.agentId,
    sessionId: facts.id,
    runId: deps.ids.next('run'),
    traceId: deps.ids.next('trace'),
    taskType: TASK_TYPE,
    delegation: facts.delegation,
    ...(turn.external_run_id === undefined ? {} : { externalRunId: turn.external_run_id }),
  };
  const { parent, expiresAt } = input;
  const managed = {
    ...(parent === undefined ? {} : { parent }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  return { facts, context, input: turn, managed };
}

/** The session that somebody else created under this id in between. */
export async function createdMeanwhile(room: ManagedRoom, caller: Caller, id: string): Promise<Created> {
  const other = await existing(room, caller, id);
  if (other === undefined) throw sessionNotFound(id);
  return other;
}

/** Its run follows at once, as a rule: it need not read what has just been written. */
export async function takeOver(
  { sessions }: ManagedRoom,
  { tenant, id }: SessionFacts,
  { appends, heads, shown }: Pick<Advance, 'appends' | 'heads' | 'shown'>,
): Promise<HeldSession | undefined> {
  return sessions.advance({
    chain: sessionChainOf(tenant, id),
    held: undefined,
    appends,
    heads,
    said: [],
    shown,
  });
}

/** Creates it once: the same id again for the same caller changes nothing. */
export async function createManaged(
  room: ManagedRoom,
  caller: Caller,
  input: CreateManaged,
): Promise<Created> {
  const birth = await birthOf(room, caller, input);
  if ('session_id' in birth) return birth;
  const { facts, context } = birth;
  const { as = 'active', admit } = input;
  const place = await admit?.(facts.id);
  const born = admissionCommit({ ...birth, as });
  const done = await room.deps.store.commit(together(born, place?.commit));
  if (done.ok) {
    await takeOver(room, facts, { appends: born.appends, heads: done.heads, shown: undefined });
    return { session_id: facts.id, run_id: context.runId };
  }
  const refusal = place?.refusal(done);
  if (refusal !== undefined) throw refusal;
  return createdMeanwhile(room, caller, facts.id);
}
