// Owns the end of a call that ran: its outcome on record, and what its caller is told where the journal did not take it.
import type { EpochMs } from '../base/clock.ts';
import { ERRORS, RuntimeError } from '../base/errors.ts';
import type { Series } from '../base/series.ts';
import { toldTo } from '../store/contract.ts';
import type { Commit, CommitResult } from '../store/contract.ts';
import { reservedBy, write } from './admitted.ts';
import type { Admitted, Started } from './admitted.ts';
import { restartMove } from './budgets/counters.ts';
import type { CallFacts, CallResult } from './call.ts';
import type { DoorDeps, KernelDeps } from './deps.ts';
import type { Attempted } from './execution/attempts.ts';
import type { ExecutionResult } from './execution/executor.ts';
import { reservationRow } from './execution/idempotency.ts';
import { endOf, judgeResult } from './execution/judge-result.ts';
import type { Judged } from './execution/judge-result.ts';
import { storedResult } from './evidence/large-result.ts';
import type { StoredResult } from './evidence/large-result.ts';
import { finish } from './evidence/receipts.ts';
import { knownCall } from './known-call.ts';
import type { PreparedCall } from './prepare.ts';
import { confinementOf } from './sandbox/elsewhere.ts';

function storedOf(
  { ids }: KernelDeps,
  { request }: PreparedCall,
  { result }: Judged,
): StoredResult | undefined {
  return result === undefined ? undefined : storedResult(request.context.caller.tenant, result, ids);
}

const UNRECORDED = `It ran, and what came of it could not be recorded. ${ERRORS.SIDE_EFFECT_UNKNOWN.sentence}`;

/** How a call that ran came out. */
interface Ended {
  tried: Attempted;
  judged: Judged;
  at: EpochMs;
  durationMs: number;
  /** What is written of it, made when it is first asked for: each making seals a large result anew, as another blob. */
  outcome(): OutcomeCommit;
}

interface OutcomeCommit {
  commit: Commit;
  receiptId: string;
  result: string | undefined;
}

export async function commitOutcome(
  deps: DoorDeps,
  admitted: Admitted,
  started: Started,
  { tried, series }: { tried: Attempted; series: Series | undefined },
): Promise<CallResult> {
  const { call } = admitted;
  const judged = judgeResult(tried, {
    mode: call.capability?.mode ?? 'write',
    idempotent: call.capability?.idempotency.idempotent ?? false,
  });
  const durationMs = deps.clock.monotonic() - started.monotonic;
  let made: OutcomeCommit | undefined;
  const ended: Ended = {
    ...{ tried, judged, at: deps.clock.now(), durationMs },
    outcome: () => (made ??= outcomeCommit(deps, admitted, started, ended)),
  };
  try {
    const told = await recordOutcome(deps, admitted, started, { ended, series });
    series?.ifLost(() => leaveOutcome(deps, admitted, ended));
    return told;
  } catch (thrown) {
    if (leaveOutcome(deps, admitted, ended) === undefined) throw thrown;
    return unrecorded(admitted, started);
  }
}

/** Its outcome is not on record; gives the error that says so of a write that ran. What did nothing may be asked for again. */
function leaveOutcome(
  deps: DoorDeps,
  { call: { request } }: Admitted,
  ended: Ended,
): RuntimeError | undefined {
  if (ended.judged.sideEffect === 'not_executed') {
    deps.calls.leave(request, () => write(deps, ended.outcome().commit));
    return undefined;
  }
  deps.calls.leave(request);
  return new RuntimeError('SIDE_EFFECT_UNKNOWN', UNRECORDED, { tool_call_id: request.toolCallId });
}

function unrecorded({ call, decision }: Admitted, started: Started): CallResult {
  return {
    status: 'unknown',
    error: { code: 'SIDE_EFFECT_UNKNOWN', message: UNRECORDED },
    callId: call.request.toolCallId,
    decision,
    receiptIds: [started.receiptId],
    sideEffect: 'side_effect_unknown',
  };
}

/** Told of the outcome besides: a call that returned something else than the last equal one begins its count anew. */
async function writeOutcome(
  deps: DoorDeps,
  commit: Commit,
  { request, repeated }: PreparedCall,
  { at, result }: { at: number; result: string | undefined },
): Promise<CommitResult> {
  const isOther =
    request.session.countsResults === true && result !== undefined && deps.results.note(repeated.key, result);
  const anew = isOther ? restartMove(repeated, deps.config.policy.cycle, at) : undefined;
  if (anew === undefined) return write(deps, commit);
  const done = await write(deps, { ...commit, counters: [anew.move], guards: [anew.guard] });
  // An equal call began meanwhile: all of them stay counted.
  return !done.ok && done.refused === 'guard' ? write(deps, commit) : done;
}

async function recordOutcome(
  deps: DoorDeps,
  admitted: Admitted,
  started: Started,
  { ended, series }: { ended: Ended; series: Series | undefined },
): Promise<CallResult> {
  const { call, decision } = admitted;
  const { tried, judged } = ended;
  const { commit, receiptId, result } = ended.outcome();
  const written = await writeOutcome(deps, toldTo(series, commit), call, { at: started.at, result });
  if (!written.ok) {
    // Another process took this one for gone and settled the call; a stale owner's word no longer counts (K4).
    const settledBefore = await knownCall(deps, call.request);
    if (settledBefore.kind === 'answer') return settledBefore.result;
    throw new RuntimeError('STORE_UNAVAILABLE', 'The outcome of the call could not be recorded.');
  }
  return resultOf(judged, {
    callId: call.request.toolCallId,
    decision,
    receiptIds: [started.receiptId, receiptId],
    sideEffect: judged.sideEffect,
    ...endOf(deps.config.policy, judged, tried.attempts),
    ...throughFacts(tried.result),
    ...expiryFacts(tried.result),
  });
}

function outcomeCommit(
  deps: KernelDeps,
  { call, decision, held, reserved, rowVersion }: Admitted,
  started: Started,
  { tried, judged, at, durationMs }: Ended,
): OutcomeCommit {
  const receiptId = deps.ids.next('rcp');
  const stored = storedOf(deps, call, judged);
  const commit = finish({ request: call.request, at }, deps.redactor, {
    receiptId,
    startReceiptId: started.receiptId,
    startedAt: started.at,
    startSeq: started.seq,
    rowVersion: (rowVersion ?? 0) + 1,
    instance: deps.instance,
    status: judged.status,
    decision,
    outcome: {
      outcome: judged.outcome,
      sideEffect: judged.sideEffect,
      durationMs,
      attempts: tried.attempts,
      notes: tried.result.notes,
      confinement: confinementOf(tried.result, call.capability?.transport),
    },
    result: judged.result,
    stored,
    ...(judged.error === undefined ? {} : { error: judged.error }),
    ...endOf(deps.config.policy, judged, tried.attempts),
    ...(held === undefined ? {} : { approvalId: held.approval.subject.approvalId }),
    ...throughFacts(tried.result),
  });
  if (reserved.key !== undefined) {
    const by = reservedBy(deps, call, at, started.seq);
    commit.rows = [...(commit.rows ?? []), reservationRow(reserved.key, judged.reservation, by)];
  }
  return { commit, receiptId, result: stored?.json };
}

function throughFacts({ capabilitySessionId }: ExecutionResult): { capabilitySessionId?: string } {
  return capabilitySessionId === undefined ? {} : { capabilitySessionId };
}

function expiryFacts(result: ExecutionResult): Pick<CallFacts, 'expiry'> {
  return result.kind === 'failed' && result.expiry !== undefined ? { expiry: result.expiry } : {};
}

function resultOf(judged: Judged, facts: CallFacts): CallResult {
  switch (judged.status) {
    case 'done':
      return { status: 'done', outcome: judged.result, ...facts };
    case 'tool_error':
      return {
        status: 'tool_error',
        outcome: judged.result,
        ...facts,
        ...(judged.error === undefined ? {} : { error: judged.error }),
      };
    case 'unknown':
    case 'canceled':
    case 'expired':
      return { status: judged.status, error: judged.error, ...facts };
  }
}
