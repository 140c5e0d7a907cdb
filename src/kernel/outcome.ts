// Owns the end of a call that ran: what it came to, its outcome receipt in one commit, and its answer. Where that cannot be
// recorded the call is unknown.
import { ERRORS, RuntimeError } from '../base/errors.ts';
import type { Series } from '../base/series.ts';
import { toldTo } from '../store/contract.ts';
import type { Commit, CommitResult } from '../store/contract.ts';
import { reservedBy, write } from './admitted.ts';
import type { Admitted, Started } from './admitted.ts';
import { restartMove } from './budgets/counters.ts';
import type { CallFacts, CallResult } from './call.ts';
import type { DoorDeps, KernelDeps } from './deps.ts';
import { storedResult } from './evidence/large-result.ts';
import type { StoredResult } from './evidence/large-result.ts';
import { finish } from './evidence/receipts.ts';
import type { Attempted } from './execution/attempts.ts';
import type { ExecutionResult } from './execution/executor.ts';
import { reservationRow } from './execution/idempotency.ts';
import { endOf, judgeResult } from './execution/judge-result.ts';
import type { Judged } from './execution/judge-result.ts';
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

/** The answer of a call that ran, once its outcome is on record. */
export async function commitOutcome(
  deps: DoorDeps,
  admitted: Admitted,
  started: Started,
  { tried, series }: { tried: Attempted; series: Series | undefined },
): Promise<CallResult> {
  const { call, decision } = admitted;
  const judged = judgeResult(tried, {
    mode: call.capability?.mode ?? 'write',
    idempotent: call.capability?.idempotency.idempotent ?? false,
  });
  try {
    return await recordOutcome(deps, admitted, started, { tried, judged, series });
  } catch (thrown) {
    deps.calls.leave(call.request);
    // What had no effect may be asked for again, as the store's own error says.
    if (judged.sideEffect === 'not_executed') throw thrown;
    const why = 'It ran, and what came of it could not be recorded.';
    return {
      status: 'unknown',
      error: { code: 'SIDE_EFFECT_UNKNOWN', message: `${why} ${ERRORS.SIDE_EFFECT_UNKNOWN.sentence}` },
      callId: call.request.toolCallId,
      decision,
      receiptIds: [started.receiptId],
      sideEffect: 'side_effect_unknown',
    };
  }
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
  { tried, judged, series }: { tried: Attempted; judged: Judged; series: Series | undefined },
): Promise<CallResult> {
  const { call, decision, held, reserved } = admitted;
  const ends = endOf(deps.config.policy, judged, tried.attempts);
  const now = deps.clock.now();
  const receiptId = deps.ids.next('rcp');
  const stored = storedOf(deps, call, judged);
  const done = finish({ request: call.request, at: now }, deps.redactor, {
    receiptId,
    startReceiptId: started.receiptId,
    startedAt: started.at,
    startSeq: started.seq,
    rowVersion: (admitted.rowVersion ?? 0) + 1,
    instance: deps.instance,
    status: judged.status,
    decision,
    outcome: {
      outcome: judged.outcome,
      sideEffect: judged.sideEffect,
      durationMs: deps.clock.monotonic() - started.monotonic,
      attempts: tried.attempts,
      notes: tried.result.notes,
      confinement: confinementOf(tried.result, call.capability?.transport),
    },
    result: judged.result,
    stored,
    ...(judged.error === undefined ? {} : { error: judged.error }),
    ...ends,
    ...(held === undefined ? {} : { approvalId: held.approval.subject.approvalId }),
    ...throughFacts(tried.result),
  });
  if (reserved.key !== undefined) {
    const by = reservedBy(deps, call, now, started.seq);
    done.rows = [...(done.rows ?? []), reservationRow(reserved.key, judged.reservation, by)];
  }
  const told = { at: started.at, result: stored?.json };
  const written = await writeOutcome(deps, toldTo(series, done), call, told);
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
    ...ends,
    ...throughFacts(tried.result),
    ...expiryFacts(tried.result),
  });
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
