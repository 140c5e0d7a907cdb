// Owns the step between the decision and the approval: an earlier use of the same idempotency key answers the call by
// itself, without asking anybody and without an effect.
import { ERRORS } from '../base/errors.ts';
import type { Series } from '../base/series.ts';
import type { CallFacts, CallResult } from './call.ts';
import type { DoorDeps, KernelDeps } from './deps.ts';
import { earlierUse, reservationOf } from './execution/idempotency.ts';
import type { Earlier, Reservation } from './execution/idempotency.ts';
import { contextFacts, decidedFacts, decisionFacts } from './evidence/records.ts';
import type { Outcome } from './evidence/records.ts';
import { record, requestRow, sessionChain } from './evidence/receipts.ts';
import type { RequestStatus } from './evidence/receipts.ts';
import type { SideEffect } from './execution/executor.ts';
import { recordedOutcome } from './known-call.ts';
import type { Decision } from './policy/decision.ts';
import type { PreparedCall } from './prepare.ts';
import { again, answer, nothingRan } from './round.ts';
import type { Round } from './round.ts';

/** The key is free to take: no row (version undefined), or one that may be taken over at that version. */
export interface FreeKey {
  kind: 'free';
  key: Reservation | undefined;
  version: number | undefined;
}

interface Answering {
  call: PreparedCall;
  decision: Decision;
  rowVersion: number | undefined;
  /** What the answer builds on. */
  after: Series | undefined;
}

type KeyCode = 'IDEMPOTENCY_CONFLICT' | 'CONFLICT' | 'SIDE_EFFECT_UNKNOWN';

/** How a key answers a call without running it, and whether asking again can change that. */
interface KeyAnswer {
  status: 'tool_error' | 'unknown';
  row: RequestStatus;
  effect: SideEffect;
  outcome: Outcome;
}

const KEY_ANSWERS: Readonly<Record<KeyCode, KeyAnswer>> = {
  IDEMPOTENCY_CONFLICT: {
    status: 'tool_error',
    row: 'tool_error',
    effect: 'not_executed',
    outcome: 'validation_failure',
  },
  // The other call may end: this one is decided anew when it is repeated.
  CONFLICT: { status: 'tool_error', row: 'denied', effect: 'not_executed', outcome: 'retryable_failure' },
  SIDE_EFFECT_UNKNOWN: {
    status: 'unknown',
    row: 'unknown',
    effect: 'side_effect_unknown',
    outcome: 'side_effect_unknown',
  },
};

function keyResult(facts: CallFacts, code: KeyCode): CallResult {
  const message = ERRORS[code].sentence;
  const error = { code, message };
  const { status, effect: sideEffect } = KEY_ANSWERS[code];
  return status === 'unknown'
    ? { ...facts, sideEffect, status, error }
    : { ...facts, status, outcome: { content: [{ type: 'text', text: message }], replayed: false }, error };
}

/** Answers because of another use of the key, and records that it did. */
async function answerByKey(
  deps: KernelDeps,
  { call, decision, rowVersion, after }: Answering,
  code: KeyCode,
): Promise<Round> {
  const { request } = call;
  const of = { request, at: deps.clock.now() };
  const { status, row, effect, outcome } = KEY_ANSWERS[code];
  const message = ERRORS[code].sentence;
  const receiptId = deps.ids.next('rcp');
  const head = await deps.store.head(sessionChain(request));
  const written = await deps.store.commit({
    appends: [
      record(
        of,
        'call_finished',
        {
          receipt_id: receiptId,
          ...contextFacts(request.context),
          ...decidedFacts(decision),
          status,
          outcome,
          side_effect_status: effect,
          error: { code, message },
        },
        { content: [{ type: 'text', text: message }] },
      ),
    ],
    rows: [
      requestRow(
        of,
        row,
        {
          decision: decisionFacts(decision),
          started_at: of.at,
          start_seq: head?.seq ?? 0,
          instance: '',
          side_effect_status: effect,
        },
        rowVersion === undefined ? 'absent' : { version: rowVersion },
      ),
    ],
    after,
  });
  if (!written.ok) return again();
  return answer(keyResult({ ...nothingRan(decision, request.toolCallId), receiptIds: [receiptId] }, code));
}

/** Answers from the earlier call's record, and records that it did. */
async function replay(
  deps: KernelDeps,
  { call, decision, rowVersion, after }: Answering,
  earlier: { session: string; seq: number; callId: string },
): Promise<Round> {
  const { request } = call;
  const at = deps.clock.now();
  const chain = { tenant: request.context.caller.tenant, aggregate: 'session' as const, id: earlier.session };
  const found = await recordedOutcome(deps.store, chain, earlier.seq, earlier.callId);
  const receiptId = deps.ids.next('rcp');
  const written = await deps.store.commit({
    appends: [
      record({ request, at }, 'call_replayed', {
        receipt_id: receiptId,
        ...contextFacts(request.context),
        ...decidedFacts(decision),
        original_call_id: earlier.callId,
        original_session_id: earlier.session,
        outcome: 'success',
        side_effect_status: 'not_executed',
      }),
    ],
    rows: [
      requestRow(
        { request, at },
        'done',
        {
          decision: decisionFacts(decision),
          started_at: at,
          start_seq: 0,
          replay_of: { session_id: earlier.session, seq: earlier.seq, call_id: earlier.callId },
          instance: '',
          side_effect_status: 'not_executed',
        },
        rowVersion === undefined ? 'absent' : { version: rowVersion },
      ),
    ],
    after,
  });
  if (!written.ok) return again();
  return answer({
    ...nothingRan(decision, request.toolCallId),
    receiptIds: [receiptId],
    status: 'done',
    outcome: found ?? {
      content: [{ type: 'text', text: 'Done before; the stored result has been erased.' }],
      replayed: true,
    },
  });
}

/** The idempotency key of a call, if it has one. */
function keyOf(call: PreparedCall): Reservation | undefined {
  if (call.capability === undefined) return undefined;
  const { caller } = call.request.context;
  return reservationOf({
    capability: call.capability,
    args: call.args,
    tenant: caller.tenant,
    principal: caller.principal,
    metaKey: call.request.idempotencyKey,
    actionDigest: call.actionDigest(),
  });
}

/** Whether the call that holds the key is still under way: its process runs it, and nobody has settled it. */
async function isUnderWay(
  deps: DoorDeps,
  { request }: PreparedCall,
  { instance, session, callId }: Earlier & { kind: 'wait' },
): Promise<boolean> {
  const { tenant } = request.context.caller;
  if (instance === deps.instance)
    return deps.calls.isRunning({ tenant, session, tool: request.tool, callId });
  if (!(await deps.isAlive(instance))) return false;
  return (await deps.store.row('request', tenant, callId))?.status === 'in_progress';
}

/** The key is held by a call whose outcome is not on record. */
async function heldKey(
  deps: DoorDeps,
  answering: Answering,
  key: Reservation,
  earlier: Earlier & { kind: 'wait' },
): Promise<FreeKey | Round> {
  const { call } = answering;
  const { instance, session, callId } = earlier;
  const name = { tenant: key.tenant, session, tool: call.request.tool, callId };
  if (instance === deps.instance && (await deps.calls.record(name))) return again();
  if (await isUnderWay(deps, call, earlier)) return answerByKey(deps, answering, 'CONFLICT');
  // It may have ended since its key was read: then its outcome is the answer.
  const row = await deps.store.row('idempotency', key.tenant, key.id);
  if (row?.version !== earlier.version) return again();
  // Nobody runs it any more. A read can simply be made again; a write may have taken effect.
  return call.capability?.mode === 'read'
    ? { kind: 'free', key, version: earlier.version }
    : answerByKey(deps, answering, 'SIDE_EFFECT_UNKNOWN');
}

/** What an earlier use of this call's key means: the answer, or the key free to reserve. */
export async function checkReservation(
  deps: DoorDeps,
  call: PreparedCall,
  decision: Decision,
  basis: Pick<Answering, 'rowVersion' | 'after'>,
): Promise<FreeKey | Round> {
  const key = keyOf(call);
  if (call.capability === undefined || key === undefined) return { kind: 'free', key, version: undefined };
  const answering = { call, decision, ...basis };
  const earlier = await earlierUse(deps.store, key, deps.clock.now());
  switch (earlier.kind) {
    case 'execute':
      return { kind: 'free', key, version: earlier.version };
    case 'conflict':
      return answerByKey(deps, answering, 'IDEMPOTENCY_CONFLICT');
    case 'wait':
      return heldKey(deps, answering, key, earlier);
    case 'replay':
      return replay(deps, answering, earlier);
    case 'reconcile':
      return answerByKey(deps, answering, 'SIDE_EFFECT_UNKNOWN');
  }
}
