// Owns the record of a turn that was refused before a provider was asked: one commit, on the session's chain where the
// caller has one, else on the caller's own.
import type { EpochMs } from '../../base/clock.ts';
import type { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { Append, ChainKey, Commit, CommitResult, RowWrite } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import type { PackDeps } from '../deps.ts';
import { TASK_TYPE } from '../records.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import type { TurnFailure } from './contract.ts';
import { plain } from './outcome-commit.ts';
import { turnCounter } from './prepare.ts';
import type { TurnRoom } from './prepare.ts';
import { runRow, sessionRow } from './rows.ts';
import { abandonedRecord } from './start-commit.ts';

// Each round a call of the session was recorded between reading and committing; more than a few means a flood.
const MAX_ROUNDS = 8;

/** Stands in for a name that nobody gave; no identity can have it, because of the brackets. */
const NOBODY = '[none]';

function named(text: string): string {
  return text.trim() === '' ? NOBODY : text;
}

function refusedContext(deps: PackDeps, caller: Caller, held: HeldSession | undefined): RunContext {
  const state = held?.state;
  return {
    caller,
    agentId: deps.config.agent.id,
    sessionId: state?.facts.id ?? '',
    runId: state?.run?.runId ?? deps.ids.next('run'),
    traceId: state?.run?.traceId ?? deps.ids.next('trace'),
    taskType: TASK_TYPE,
    delegation: state?.facts.delegation ?? NO_DELEGATION,
  };
}

interface How {
  tenant: string;
  principal: string;
  status: 'denied' | 'failed';
  at: EpochMs;
  error: RuntimeError;
  /** The session whose run ends with this refusal. */
  ending: HeldSession | undefined;
}

/** The session, if the run that it is in ends here. A managed session tells the end of its runs by itself. */
function endingOf(held: HeldSession | undefined, error: RuntimeError): HeldSession | undefined {
  const isIn = held?.state.run !== undefined && held.state.managed === undefined;
  return isIn && isSpent(error) ? held : undefined;
}

/** Whether a budget of policy is used up: with that a run ends. A limit of one input or of one answer is none. */
function isSpent({ details }: RuntimeError): boolean {
  const { decision } = details;
  return isObject(decision) && decision.rule_id === 'loop_budget';
}

function refusalCommit(
  deps: PackDeps,
  context: RunContext,
  held: HeldSession | undefined,
  { error, ending }: Pick<How, 'error' | 'ending'>,
): Commit {
  const at = deps.clock.now();
  const tenant = named(context.caller.tenant);
  const principal = named(context.caller.principal);
  const own: ChainKey = { tenant, aggregate: 'principal', id: principal };
  const view = error.view();
  const shown = deps.kernel.redact({ message: view.message, details: plain(view.details) });
  const status = view.code === 'POLICY_DENIED' || view.code === 'SCOPE_DENIED' ? 'denied' : 'failed';
  const facts: JsonObject = contextFacts(context);
  const evidence = { ...facts, status, code: view.code, retryable: view.retryable, provider_call_count: 0 };
  const rows = refusedRows(held, context, { tenant, principal, status, at, error, ending });
  const refused = { chain: held?.chain ?? own, when: { epoch: 0 }, type: 'turn_refused', at };
  if (ending === undefined) {
    return { appends: [{ ...refused, evidence: { ...evidence, ...shown.value } }], rows };
  }
  const ended = { ...refused, evidence: { ...evidence, run_ended: true, ...shown.value } };
  return { rows, ...endedRun(ending, context, ended) };
}

/**
 * A turn that began meanwhile goes on with the run, which then must not end. One that was left behind is settled here, and
 * its place is taken: its process may be alive, and must not write the end of a run that has ended.
 */
function endedRun(
  { chain, state }: HeldSession,
  context: RunContext,
  refused: Append,
): Pick<Commit, 'counters' | 'guards'> & { appends: Append[] } {
  const { openTurn, turnCount, seq, facts } = state;
  const counter = turnCounter(facts);
  if (openTurn === undefined) return { appends: [refused], guards: [{ key: counter, is: turnCount }] };
  const left = { chain, when: { seq }, at: refused.at, ...abandonedRecord(openTurn, context) };
  const evidence = { ...refused.evidence, turn_index: turnCount };
  return {
    appends: [left, { ...refused, when: { seq: seq + 1 }, evidence }],
    counters: [{ key: counter, add: 1 }],
  };
}

/** A refusal inside a run that goes on leaves that run's row alone. */
function refusedRows(
  held: HeldSession | undefined,
  context: RunContext,
  { tenant, principal, status, at, error, ending }: How,
): RowWrite[] {
  const state = held?.state;
  const more = { code: error.code, last_turn_status: 'refused' };
  if (state?.run === undefined) {
    const body = { ...contextFacts(context), ...more };
    const ref = state === undefined ? {} : { ref: state.facts.id };
    const run = { kind: 'run' as const, tenant, id: context.runId, principal, status, updatedAt: at };
    return [{ row: { ...run, body, ...ref } }];
  }
  if (ending === undefined) return [];
  const turn = { facts: state.facts, context, held: ending };
  const { status: session, turnCount } = state;
  const turns = state.openTurn === undefined ? turnCount : turnCount + 1;
  const progress = { status: session, turnCount: turns, lastStatus: 'refused', runStatus: status };
  return [sessionRow(turn, progress, at), runRow(turn, status, { turn_index: turnCount, ...more }, at)];
}

/** The session as it is now, if it is still in the turn that was left behind: only a call was recorded in between. */
async function stillLeft(
  { sessions }: Pick<TurnRoom, 'sessions'>,
  caller: Caller,
  { state }: HeldSession,
  series: Series | undefined,
): Promise<HeldSession | undefined> {
  const { openTurn, run, facts } = state;
  if (openTurn === undefined) return undefined;
  const now = await sessions.load(caller, facts.id, series);
  const isSame = now.state.openTurn?.turnIndex === openTurn.turnIndex && now.state.run?.runId === run?.runId;
  return isSame ? now : undefined;
}

/** Records the refusal and gives it back as the turn's answer; of a session that a series was told of, only if it is there. */
export async function refuseTurn(
  room: Pick<TurnRoom, 'deps' | 'sessions'>,
  caller: Caller,
  held: HeldSession | undefined,
  { error, series }: { error: RuntimeError; series: Series | undefined },
): Promise<TurnFailure> {
  const { deps } = room;
  const context = refusedContext(deps, caller, held);
  const commit = (ending: HeldSession | undefined): Promise<CommitResult> =>
    deps.store.commit({ ...refusalCommit(deps, context, ending ?? held, { error, ending }), after: series });
  let ending = endingOf(held, error);
  let done = await commit(ending);
  for (let round = 0; !done.ok && ending !== undefined; round++) {
    ending = round < MAX_ROUNDS ? await stillLeft(room, caller, ending, series) : undefined;
    done = await commit(ending);
  }
  const { details, ...view } = error.view();
  return {
    error: { ...view, details: { provider_call_count: 0, ...details } },
    ...(held === undefined ? {} : { session_id: held.state.facts.id }),
    run_id: context.runId,
    trace_id: context.traceId,
  };
}
