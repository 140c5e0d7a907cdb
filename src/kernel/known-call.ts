// Owns what is answered for a call id that has been seen before: the recorded outcome, `still running`, or `unknown`.
// Nothing here runs a tool (K3, K4).
import { ERRORS, RuntimeError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { ChainKey, Store, StoredRecord, StoredRow } from '../store/contract.ts';
import type { Series } from '../base/series.ts';
import type { CallRequest, CallResult, ToolOutcome } from './call.ts';
import type { DoorDeps, KernelDeps } from './deps.ts';
import type { ContentBlock, SideEffect } from './execution/executor.ts';
import { readResult } from './evidence/large-result.ts';
import { record, requestRow, sessionChain } from './evidence/receipts.ts';
import { contextFacts } from './evidence/records.ts';
import type { RequestBody, RequestStatus } from './evidence/receipts.ts';
import { callName } from './own-calls.ts';
import type { Decision, Layer, RuleId } from './policy/decision.ts';

export type Known =
  | { kind: 'new'; rowVersion: number | undefined; waitsFor: string | undefined }
  | { kind: 'answer'; result: CallResult };

/** Of an id that nobody has used. */
export const NEW: Known & { kind: 'new' } = { kind: 'new', rowVersion: undefined, waitsFor: undefined };

// Each round somebody else settled the call first; a store that refuses for ever must not hold the caller for ever.
const MAX_ROUNDS = 8;

const PAGE = 100;

async function findFinish(
  store: Store,
  chain: ChainKey,
  from: number,
  callId: string,
): Promise<StoredRecord | undefined> {
  for (let at = Math.max(1, from); ; at += PAGE) {
    const records = await store.read(chain, at, PAGE);
    const found = records.find(
      (one) =>
        one.header.type === 'call_finished' &&
        one.evidence.state === 'present' &&
        one.evidence.value.call_id === callId,
    );
    if (found !== undefined || records.length < PAGE) return found;
  }
}

interface RecordedEnd {
  outcome?: ToolOutcome;
  error?: { code: ErrorCode; message: string };
  endsRun?: true;
}

/** How a call ended by its own record; without an outcome when that is erased or not there. */
async function recordedEnd(
  store: Store,
  chain: ChainKey,
  from: number,
  callId: string,
): Promise<RecordedEnd> {
  const finished = await findFinish(store, chain, from, callId);
  if (finished === undefined) return {};
  const shown = finished.evidence.state === 'present' ? finished.evidence.value : {};
  const error = shown.error as unknown as RecordedEnd['error'];
  const sealed = await readResult(store, chain, finished.header.seq);
  const ended: RecordedEnd = error === undefined ? {} : { error };
  if (shown.on_failure === 'end_run') ended.endsRun = true;
  if (sealed.state !== 'present') return ended;
  const { content, structured } = sealed.value as { content: ContentBlock[]; structured?: JsonObject };
  return {
    ...ended,
    outcome: { content, ...(structured === undefined ? {} : { structured }), replayed: true },
  };
}

/** The exact recorded result of a finished call, or undefined when it is erased or not there. */
export async function recordedOutcome(
  store: Store,
  chain: ChainKey,
  from: number,
  callId: string,
): Promise<ToolOutcome | undefined> {
  return (await recordedEnd(store, chain, from, callId)).outcome;
}

/** The decision as it was recorded; enough to answer with, never decided on again. */
function recordedDecision(facts: JsonObject): Decision {
  const verdict = facts.decision as Decision['verdict'];
  return {
    verdict,
    ruleId: facts.rule_id as RuleId,
    layer: facts.layer as Layer,
    reasons: (facts.reasons as string[] | undefined) ?? [],
    aliases: (facts.aliases as string[] | undefined) ?? [],
    onDeny: (facts.on_deny as Decision['onDeny'] | undefined) ?? 'tell_model',
    policyDigest: facts.policy_digest as string,
    attributes: {},
    scopes: { requested: [], allowed: [] },
    others: [],
  };
}

function errorResult(
  row: StoredRow,
  status: 'unknown' | 'canceled' | 'expired',
  code: ErrorCode,
): CallResult {
  const body = row.body as unknown as RequestBody;
  return {
    callId: row.id,
    decision: recordedDecision(body.decision),
    receiptIds: [],
    sideEffect: (body.side_effect_status as SideEffect | undefined) ?? 'side_effect_unknown',
    status,
    error: { code, message: ERRORS[code].sentence },
  };
}

async function finishedResult(deps: KernelDeps, request: CallRequest, row: StoredRow): Promise<CallResult> {
  const body = row.body as unknown as RequestBody;
  const status = row.status as 'done' | 'tool_error';
  const of = body.replay_of ?? { session_id: request.session.id, seq: body.start_seq, call_id: row.id };
  const chain = { ...sessionChain(request), id: of.session_id };
  const { outcome, error, endsRun } = await recordedEnd(deps.store, chain, of.seq, of.call_id);
  const gone: ToolOutcome = {
    content: [{ type: 'text', text: 'The stored result of this call has been erased.' }],
    replayed: true,
  };
  return {
    callId: row.id,
    decision: recordedDecision(body.decision),
    receiptIds: [],
    sideEffect: (body.side_effect_status as SideEffect | undefined) ?? 'not_executed',
    status,
    outcome: outcome ?? gone,
    ...(endsRun === undefined ? {} : { endsRun }),
    ...(status === 'tool_error' && error !== undefined ? { error } : {}),
  };
}

/** K4: nobody runs it any more, and it left no outcome. Recorded once; whoever comes second reads it. */
async function settleUnknown(deps: KernelDeps, request: CallRequest, row: StoredRow): Promise<void> {
  const body = row.body as unknown as RequestBody;
  const at = deps.clock.now();
  const of = { request, at };
  const isRead = deps.config.capabilities[request.tool]?.mode === 'read';
  const sideEffect: SideEffect = isRead ? 'not_executed' : 'side_effect_unknown';
  const why =
    body.instance === deps.instance
      ? 'its outcome could not be recorded'
      : 'the process that ran it ended without an outcome';
  await deps.store.commit({
    appends: [
      record(of, 'call_finished', {
        ...contextFacts(request.context),
        run_id: body.run_id,
        trace_id: body.trace_id,
        status: 'unknown',
        outcome: isRead ? 'retryable_failure' : 'side_effect_unknown',
        side_effect_status: sideEffect,
        notes: [`${why}; settled by kernel.reconciliation`],
      }),
    ],
    rows: [
      requestRow(
        of,
        'unknown',
        {
          decision: body.decision,
          started_at: body.started_at,
          start_seq: body.start_seq,
          instance: body.instance,
          side_effect_status: sideEffect,
          ...(body.approval_id === undefined ? {} : { approval_id: body.approval_id }),
        },
        { version: row.version },
      ),
    ],
  });
}

/** What is known of this call id: nothing that stops it, or the answer. Throws NOT_FOUND for another session's id. */
export async function knownCall(deps: DoorDeps, request: CallRequest, series?: Series): Promise<Known> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const known = await readKnown(deps, request, series);
    if (known !== 'settled') return known;
  }
  throw new RuntimeError(
    'STORE_UNAVAILABLE',
    'The end of an earlier run of this call could not be recorded.',
    {
      tool_call_id: request.toolCallId,
    },
  );
}

/** It did not run; only whoever holds its token may have it run now. */
function expiredCall(request: CallRequest, row: StoredRow): Known {
  return request.resumed === true
    ? { kind: 'new', rowVersion: row.version, waitsFor: undefined }
    : { kind: 'answer', result: errorResult(row, 'expired', 'CAPABILITY_SESSION_EXPIRED') };
}

/** Throws CONFLICT while another process runs it. */
async function settleInProgress(deps: DoorDeps, request: CallRequest, row: StoredRow): Promise<void> {
  const { instance } = row.body as unknown as RequestBody;
  if (instance === deps.instance) {
    if (await deps.calls.record(callName(request))) return;
  } else if (await deps.isAlive(instance)) {
    throw new RuntimeError('CONFLICT', 'Another process is running this call.', {
      tool_call_id: request.toolCallId,
    });
  }
  // Refused means that its outcome, or somebody else's settlement, came first: that is read next.
  await settleUnknown(deps, request, row);
}

async function readKnown(
  deps: DoorDeps,
  request: CallRequest,
  series: Series | undefined,
): Promise<Known | 'settled'> {
  const row = await deps.store.row('request', request.context.caller.tenant, request.toolCallId, series);
  if (row === undefined) return NEW;
  const body = row.body as unknown as RequestBody;
  if (body.session_id !== request.session.id || body.tool !== request.tool) {
    throw new RuntimeError('NOT_FOUND', undefined, { tool_call_id: request.toolCallId });
  }
  switch (row.status as RequestStatus) {
    case 'denied':
      return { kind: 'new', rowVersion: row.version, waitsFor: undefined };
    case 'waiting_approval':
      return { kind: 'new', rowVersion: row.version, waitsFor: body.approval_id };
    case 'done':
    case 'tool_error':
      return { kind: 'answer', result: await finishedResult(deps, request, row) };
    case 'unknown':
      return { kind: 'answer', result: errorResult(row, 'unknown', 'SIDE_EFFECT_UNKNOWN') };
    case 'canceled':
      return { kind: 'answer', result: errorResult(row, 'canceled', 'CANCELED') };
    case 'expired':
      return expiredCall(request, row);
    case 'in_progress':
      await settleInProgress(deps, request, row);
      return 'settled';
  }
}
