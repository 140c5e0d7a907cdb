// Owns the commits of a call: refusal, waiting, start receipt, outcome receipt. Each is one transaction; the request row
// beside the records is what lists are read from.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { cutTo } from '../../base/text.ts';
import type { Append, ChainKey, Commit, RowWrite } from '../../store/contract.ts';
import type { CallRequest } from '../call.ts';
import type { ToolOutcome } from '../call.ts';
import type { Decision } from '../policy/decision.ts';
import type { PreparedCall } from '../prepare.ts';
import type { StoredResult } from './large-result.ts';
import { contextFacts, decisionFacts, decisionsOf, denialOutcome, outcomeFacts } from './records.ts';
import type { OutcomeFacts } from './records.ts';
import type { Redacted, Redactor } from './redact.ts';

export type RequestStatus =
  'denied' | 'waiting_approval' | 'in_progress' | 'done' | 'tool_error' | 'unknown' | 'canceled' | 'expired';

/** What a request row remembers of its call. */
export interface RequestBody {
  kind: 'call';
  tool: string;
  session_id: string;
  run_id: string;
  trace_id: string;
  decision: JsonObject;
  started_at: EpochMs;
  /** Where on the session's chain the start receipt stands; 0 before there is one. */
  start_seq: number;
  /** The call whose outcome this one was answered with. */
  replay_of?: { session_id: string; seq: number; call_id: string };
  instance: string;
  approval_id?: string;
  side_effect_status?: string;
}

export function sessionChain(request: CallRequest): ChainKey {
  return { tenant: request.context.caller.tenant, aggregate: 'session', id: request.session.id };
}

export interface Receipt {
  request: CallRequest;
  at: EpochMs;
}

/** Why it was called: for what purpose, and where a turn asked for it. */
function askedFacts({ session, asked }: CallRequest): JsonObject {
  const facts: JsonObject = {};
  if (session.intent !== undefined) facts.intent = session.intent;
  if (asked === undefined) return facts;
  facts.turn_index = asked.turnIndex;
  facts.tool_call_count = asked.callCount;
  if (asked.node !== undefined) {
    facts.workflow_id = asked.node.workflowId;
    facts.node_id = asked.node.nodeId;
  }
  return facts;
}

export function record(of: Receipt, type: string, evidence: JsonObject, sealed?: JsonValue): Append {
  const { request, at } = of;
  return {
    chain: sessionChain(request),
    when: { epoch: 0 }, // calls commute; the request row and the approval's chain settle races
    type,
    at,
    evidence: {
      call_id: request.toolCallId,
      tool_call_id: request.toolCallId,
      tool: request.tool,
      ...askedFacts(request),
      ...evidence,
    },
    ...(sealed === undefined ? {} : { sealed }),
  };
}

export function requestRow(
  of: Receipt,
  status: RequestStatus,
  body: Omit<RequestBody, 'kind' | 'tool' | 'session_id' | 'run_id' | 'trace_id'>,
  when: RowWrite['when'],
): RowWrite {
  const { request, at } = of;
  const { context } = request;
  const full: RequestBody = {
    kind: 'call',
    tool: request.tool,
    session_id: request.session.id,
    run_id: context.runId,
    trace_id: context.traceId,
    ...body,
  };
  return {
    row: {
      kind: 'request',
      tenant: context.caller.tenant,
      id: request.toolCallId,
      principal: context.caller.principal,
      status,
      ref: request.session.id,
      updatedAt: at,
      body: full as unknown as JsonObject,
    },
    when: when ?? 'any',
  };
}

/** One record and one row: the call was refused, and why. */
export function denial(of: Receipt, decision: Decision, args: JsonObject, when: RowWrite['when']): Commit {
  const decided = decisionFacts(decision);
  return {
    appends: [
      record(of, 'call_denied', {
        outcome: denialOutcome(decision),
        side_effect_status: 'not_executed',
        arguments: args,
        ...contextFacts(of.request.context),
        ...decided,
        ...decisionsOf(decision),
      }),
    ],
    rows: [
      requestRow(
        of,
        'denied',
        {
          decision: decided,
          started_at: of.at,
          start_seq: 0,
          instance: '',
          side_effect_status: 'not_executed',
        },
        when,
      ),
    ],
  };
}

/** The session's note that a call waits for an approval; the approval's own chain is opened in the same commit. */
export function waiting(of: Receipt, decision: Decision, approvalId: string, when: RowWrite['when']): Commit {
  const decided = decisionFacts(decision);
  return {
    appends: [
      record(of, 'call_waiting', {
        outcome: 'approval_required',
        approval_id: approvalId,
        ...contextFacts(of.request.context),
        ...decided,
        ...decisionsOf(decision),
      }),
    ],
    rows: [
      requestRow(
        of,
        'waiting_approval',
        {
          decision: decided,
          started_at: of.at,
          start_seq: 0,
          instance: '',
          approval_id: approvalId,
        },
        when,
      ),
    ],
  };
}

export interface Start {
  receiptId: string;
  instance: string;
  decision: Decision;
  redactedArgs: JsonObject;
  redactedFields: string[];
  approvalId?: string;
  executionMode: 'in-process' | 'subprocess' | 'remote' | 'host';
  toolPrincipal: string;
  /** Of the agent itself. */
  runtimePrincipal: string;
  idempotencyKey?: string;
}

/** The start receipt: durable before the effect, and the fence after a crash. */
export function start(of: Receipt, call: PreparedCall, facts: Start, when: RowWrite['when']): Commit {
  const { decision } = facts;
  const decided = decisionFacts(decision);
  return {
    appends: [
      record(
        of,
        'call_started',
        {
          receipt_id: facts.receiptId,
          ...contextFacts(of.request.context),
          ...decided,
          ...decisionsOf(decision),
          arguments: facts.redactedArgs,
          ...(facts.redactedFields.length > 0 ? { redacted_fields: facts.redactedFields } : {}),
          action_digest: call.actionDigest(),
          pin:
            call.input.pin.state === 'pinned' || call.input.pin.state === 'declared'
              ? call.input.pin.digest
              : '',
          ...(call.capability === undefined
            ? {}
            : { pack: call.capability.pack, capability_version: call.capability.version }),
          tool_principal: facts.toolPrincipal,
          runtime_principal: facts.runtimePrincipal,
          execution_mode: facts.executionMode,
          scope_requested: decision.scopes.requested,
          scope_allowed: decision.scopes.allowed,
          instance: facts.instance,
          ...(facts.approvalId === undefined ? {} : { approval_id: facts.approvalId }),
          ...(facts.idempotencyKey === undefined ? {} : { idempotency_key: facts.idempotencyKey }),
        },
        { args: call.args },
      ),
    ],
    rows: [
      requestRow(
        of,
        'in_progress',
        {
          decision: decided,
          started_at: of.at,
          start_seq: 0,
          instance: facts.instance,
          ...(facts.approvalId === undefined ? {} : { approval_id: facts.approvalId }),
        },
        when,
      ),
    ],
  };
}

export interface Finish {
  receiptId: string;
  startReceiptId: string;
  startedAt: EpochMs;
  startSeq: number;
  /** Of the request row since the start commit; another one means that the call has been settled by somebody else. */
  rowVersion: number;
  instance: string;
  status: RequestStatus;
  decision: Decision;
  outcome: OutcomeFacts;
  result: ToolOutcome | undefined;
  stored: StoredResult | undefined;
  error?: { code: string; message: string };
  endsRun?: true;
  approvalId?: string;
  capabilitySessionId?: string;
}

/** The outcome receipt. The exact result is sealed; evidence has it redacted and cut. */
export function finish(of: Receipt, redactor: Redactor, facts: Finish): Commit {
  const shown = facts.result === undefined ? undefined : resultView(facts.result, redactor);
  return {
    appends: [
      record(
        of,
        'call_finished',
        {
          receipt_id: facts.receiptId,
          start_receipt_id: facts.startReceiptId,
          ...contextFacts(of.request.context),
          status: facts.status,
          ...(facts.capabilitySessionId === undefined
            ? {}
            : { capability_session_id: facts.capabilitySessionId }),
          ...outcomeFacts(facts.outcome, redactor),
          ...(facts.error === undefined
            ? {}
            : { error: { code: facts.error.code, message: redactor.text(facts.error.message) } }),
          ...(facts.endsRun === true ? { on_failure: 'end_run' } : {}),
          ...(shown === undefined ? {} : { result: shown.value }),
          ...(shown === undefined || shown.fields.length === 0 ? {} : { redacted_fields: shown.fields }),
        },
        facts.stored?.sealed,
      ),
    ],
    rows: [
      requestRow(
        of,
        facts.status,
        {
          decision: decisionFacts(facts.decision),
          started_at: facts.startedAt,
          start_seq: facts.startSeq,
          instance: facts.instance,
          side_effect_status: facts.outcome.sideEffect,
          ...(facts.approvalId === undefined ? {} : { approval_id: facts.approvalId }),
        },
        { version: facts.rowVersion },
      ),
    ],
    ...(facts.stored === undefined || facts.stored.blobs.length === 0 ? {} : { blobs: facts.stored.blobs }),
  };
}

const EVIDENCE_TEXT = 2000;

/** A result as evidence shows it: texts redacted and then cut (a cut secret is no longer recognized), binary parts named
 * by kind only. */
function resultView(outcome: ToolOutcome, redactor: Redactor): Redacted<JsonObject> {
  const content = outcome.content
    .slice(0, 20)
    .map(({ type, text }): JsonObject =>
      type === 'text' && typeof text === 'string' ? { type, text } : { type },
    );
  const { value, fields } = redactor.object({ content, blocks: outcome.content.length });
  return { value: { ...value, content: (value.content as JsonObject[]).map(cutText) }, fields };
}

function cutText(block: JsonObject): JsonObject {
  const { text } = block;
  if (typeof text !== 'string' || text.length <= EVIDENCE_TEXT) return block;
  return { ...block, text: cutTo(text, EVIDENCE_TEXT), cut_from: text.length };
}
