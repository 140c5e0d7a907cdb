// Owns one call of a managed run: it is carried to the kernel's door, and when the kernel has no last word of its own on
// it, because its approval lapsed or because it was refused without a record, the word is recorded here.
//
// C1  Every path to a tool is the kernel's door; this file never decides that a call may run, only that it can no more.
// C2  A settled call's id is taken in the same commit, so that nobody can run it afterwards.
import { asRuntimeError, ERRORS } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { CallResult } from '../../kernel/call.ts';
import type { Approval } from '../../kernel/approvals/approval.ts';
import type { CallIo } from '../../kernel/execution/executor.ts';
import type { Caller } from '../../kernel/identity.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { Outcome } from '../../kernel/evidence/records.ts';
import { callOf } from '../sessions/requested-call.ts';
import type { RequestedCall } from '../sessions/session.ts';
import { closedCallRow } from '../turn/rows.ts';
import { contextOfState } from './commits.ts';
import type { Tried } from './next-step.ts';
import { loadManaged } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import { takeStep } from './step.ts';

export interface CallRun {
  /** The session's own actor with the roles and scopes of now. */
  acting: Caller;
  epoch: number;
  io: CallIo;
}

interface Settlement {
  code: string;
  message: string;
  isUnknown?: true;
}

/** Nothing ran: it may be asked for anew, unless its arguments are what kept it from running. */
function outcomeOf({ code, isUnknown }: Settlement): Outcome {
  if (isUnknown === true) return 'side_effect_unknown';
  return code === 'INVALID_INPUT' ? 'validation_failure' : 'retryable_failure';
}

/** What a waiting call waits for now. `again`: the door must look. */
export type Waiting =
  { at: 'pending'; requestId: string } | { at: 'lapsed'; approval: Approval } | { at: 'again' };

/** Reads the approval of a call that waits; nothing is decided and nothing written but its expiry, if its time passed. */
export async function lookAt(room: ManagedRoom, tenant: string, call: RequestedCall): Promise<Waiting> {
  const { kernel, config } = room.deps;
  if (call.state.at !== 'waiting') return { at: 'again' };
  const approval = await kernel.approvalFor(tenant, call.state.approvalId);
  switch (approval?.state) {
    case 'pending':
      // Under another policy it is another question; the door asks it.
      return approval.subject.policyDigest === config.policy.digest
        ? { at: 'pending', requestId: approval.subject.approvalId }
        : { at: 'again' };
    case 'expired':
    case 'revoked':
      return { at: 'lapsed', approval };
    case 'approved':
    case 'rejected':
    case 'consumed':
    case undefined:
      return { at: 'again' };
  }
}

function lapsed({ state, subject }: Approval): Settlement {
  const message = `The approval ${subject.approvalId} of this call ${state === 'revoked' ? 'was revoked' : 'has expired'}; it has not run.`;
  return { code: 'APPROVAL_NOT_PENDING', message };
}

/** C2. A lost race is no failure: whoever was faster has the word, and the next look finds it. */
async function settle(
  room: ManagedRoom,
  at: ManagedHeld,
  call: RequestedCall,
  run: CallRun & { as: Settlement },
): Promise<void> {
  const { store, clock, config, kernel } = room.deps;
  const { facts } = at.state;
  const now = clock.now();
  const { as } = run;
  const sideEffect = as.isUnknown === true ? 'side_effect_unknown' : 'not_executed';
  const row = await store.row('request', facts.tenant, call.id);
  const how = {
    by: 'nobody' as const,
    reason: as.message,
    sideEffect,
    policyDigest: config.policy.digest,
    at: now,
  };
  const context = { ...contextOfState(run.acting, at.state), runId: call.runId, traceId: call.traceId };
  const shown: JsonObject = kernel.redact({ error: { code: as.code, message: as.message } }).value;
  await takeStep(room, at, {
    appends: [
      {
        chain: at.held.chain,
        when: { epoch: run.epoch },
        type: 'call_settled',
        at: now,
        evidence: {
          call_id: call.id,
          tool_call_id: call.id,
          tool: call.tool,
          ...contextFacts(context),
          status: as.isUnknown === true ? 'unknown' : 'not_executed',
          outcome: outcomeOf(as),
          side_effect_status: sideEffect,
          ...shown,
        },
      },
    ],
    after: run.io.series,
    rows: [closedCallRow(facts, call, how, row === undefined ? 'absent' : { version: row.version })],
  });
}

/** What to record when the door answered and its records say nothing of this call. */
function unrecorded(result: CallResult): Settlement {
  if (result.status === 'unknown') return { ...result.error, isUnknown: true };
  const error = 'error' in result ? result.error : undefined;
  return error ?? { code: 'CANCELED', message: ERRORS.CANCELED.sentence };
}

type Answer =
  | { kind: 'answered'; result: CallResult }
  | { kind: 'busy' }
  | { kind: 'refused'; as: Settlement }
  | { kind: 'over' };

async function throughTheDoor(
  room: ManagedRoom,
  at: ManagedHeld,
  call: RequestedCall,
  run: CallRun,
): Promise<Answer> {
  try {
    const requested = await callOf(room.deps.store, run.acting, at.held, call.id);
    if (requested.kind === 'refused') return { kind: 'over' };
    return { kind: 'answered', result: await room.deps.kernel.call(requested.request, run.io) };
  } catch (thrown) {
    const { code, message } = asRuntimeError(thrown);
    if (code === 'CONFLICT') return { kind: 'busy' };
    // Nothing ran: its arguments are gone or cannot be read.
    if (code === 'INVALID_INPUT' || code === 'NOT_FOUND') return { kind: 'refused', as: { code, message } };
    throw thrown;
  }
}

/** What the step says beyond the records, and the session after it, where it was looked at. */
export interface Stepped {
  tried?: Tried;
  now?: ManagedHeld;
}

/** Carries one call as far as it goes now. */
export async function callStep(
  room: ManagedRoom,
  at: ManagedHeld,
  call: RequestedCall,
  run: CallRun,
): Promise<Stepped> {
  const { facts } = at.state;
  const waiting = await lookAt(room, facts.tenant, call);
  if (waiting.at === 'pending') return { tried: { at: 'waiting', requestId: waiting.requestId } };
  if (waiting.at === 'lapsed') {
    await settle(room, at, call, { ...run, as: lapsed(waiting.approval) });
    return {};
  }
  const answer = await throughTheDoor(room, at, call, run);
  switch (answer.kind) {
    case 'busy':
      return { tried: { at: 'busy' } };
    case 'over':
      return {};
    case 'refused':
      await settle(room, at, call, { ...run, as: answer.as });
      return {};
    case 'answered':
      return afterAnswer(room, at, call, { ...run, result: answer.result });
  }
}

async function afterAnswer(
  room: ManagedRoom,
  at: ManagedHeld,
  call: RequestedCall,
  run: CallRun & { result: CallResult },
): Promise<Stepped> {
  const { result } = run;
  if (result.status === 'waiting_approval') {
    return { tried: { at: 'waiting', requestId: result.approval.subject.approvalId } };
  }
  const now = await loadManaged(room, run.acting, at.state.facts.id, run.io.series);
  const stands = now.state.calls.find((one) => one.id === call.id)?.state.at;
  if (stands !== 'requested' && stands !== 'waiting') return { now };
  await settle(room, at, call, { ...run, as: unrecorded(result) });
  return {};
}
