// Owns the way from a handle to the call that a turn requested: its tool and exact arguments come from the session's own
// record, never from whoever asks for it to run.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { AskedAt, CallRequest, SessionBinding } from '../../kernel/call.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import type { Store } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import type { ManagedState } from '../managed/state.ts';
import { objectAt, objectsAt, textAt } from '../records.ts';
import { TASK_TYPE } from '../records.ts';
import type { DecisionView } from '../turn/contract.ts';
import { asRead } from './own-record.ts';
import type { HeldSession, Sessions } from './sessions.ts';
import type { RequestedCall, SessionFacts } from './session.ts';

export type Requested =
  /** `waitsFor`: the approval that it is on record as waiting for, which an equal call may have asked for. */
  | { kind: 'call'; request: CallRequest; waitsFor?: string }
  /** The turn itself refused it; it can never run. */
  | {
      kind: 'refused';
      code: 'TOOL_NOT_FOUND' | 'LIMIT_EXCEEDED' | 'POLICY_DENIED';
      tool: string;
      decision: DecisionView;
      context: RunContext;
    };

function notFound(toolCallId: string): RuntimeError {
  return new RuntimeError('NOT_FOUND', `No such requested call: ${toolCallId.slice(0, 80)}`, {
    kind: 'request',
  });
}

function contextOf(caller: Caller, facts: SessionFacts, run: { runId: string; traceId: string }): RunContext {
  return {
    caller,
    agentId: facts.agentId,
    sessionId: facts.id,
    runId: run.runId,
    traceId: run.traceId,
    taskType: TASK_TYPE,
    delegation: facts.delegation,
  };
}

function bindingOf(facts: SessionFacts, intent: string | undefined): SessionBinding {
  return {
    id: facts.id,
    startedAt: facts.startedAt,
    actor: facts.actor,
    lane: facts.lane,
    task: facts.task,
    limits: { maxIterations: facts.limits.turns, maxCalls: facts.limits.toolCalls },
    ...(intent === undefined ? {} : { intent }),
  };
}

// A call is asked for soon after it was requested; an older one is read.
const RECENT = 8;

/** From what is held of the conversation: a copy of its own, in the order in which it lies in the record. */
function heldArguments({ conversation }: HeldSession, call: RequestedCall): JsonObject | undefined {
  const entries = conversation?.entries ?? [];
  for (let back = 1; back <= RECENT; back++) {
    const entry = entries.at(-back);
    const found = entry?.from === 'model' ? entry.calls.find((one) => one.id === call.id) : undefined;
    if (found !== undefined) return asRead(found.input);
  }
  return undefined;
}

async function exactArguments(store: Store, held: HeldSession, call: RequestedCall): Promise<JsonObject> {
  const known = heldArguments(held, call);
  if (known !== undefined) return known;
  const sealed = await store.unseal(held.chain, call.turnSeq);
  const item =
    sealed.state === 'present' ? objectsAt(sealed.value as JsonObject, 'calls')[call.index] : undefined;
  if (item?.id !== call.id) throw notFound(call.id); // erased: what is not known exactly is not run
  return objectAt(item, 'input');
}

const REFUSALS: ReadonlySet<string> = new Set(['TOOL_NOT_FOUND', 'LIMIT_EXCEEDED', 'POLICY_DENIED']);
type RefusalCode = Extract<Requested, { kind: 'refused' }>['code'];

async function refusal(
  store: Store,
  held: HeldSession,
  call: RequestedCall,
  context: RunContext,
): Promise<Requested> {
  const [record] = await store.read(held.chain, call.turnSeq, 1);
  const evidence = record?.evidence.state === 'present' ? record.evidence.value : {};
  const shown = objectsAt(evidence, 'requested_tools')[call.index] ?? {};
  const code = textAt(shown, 'refused') ?? '';
  const reasons = Array.isArray(shown.reasons) ? shown.reasons.filter((one) => typeof one === 'string') : [];
  return {
    kind: 'refused',
    code: REFUSALS.has(code) ? (code as RefusalCode) : 'TOOL_NOT_FOUND',
    tool: call.tool,
    decision: {
      decision: 'deny',
      rule_id: textAt(shown, 'rule_id') ?? 'inventory',
      layer: textAt(shown, 'layer') ?? 'session',
      reasons,
      policy_digest: textAt(shown, 'policy_digest') ?? '',
      ...(textAt(shown, 'on_deny') === 'end_run' ? { on_deny: 'end_run' as const } : {}),
    },
    context,
  };
}

/** A call too old to be held: only one that has ended can be answered, from the kernel's own row; nothing runs. */
async function longAgo(
  store: Store,
  caller: Caller,
  facts: SessionFacts,
  toolCallId: string,
): Promise<Requested> {
  const row = await store.row('request', facts.tenant, toolCallId);
  const isOver = row !== undefined && ['done', 'tool_error', 'unknown', 'canceled'].includes(row.status);
  if (!isOver || row.ref !== facts.id || row.principal !== facts.principal) throw notFound(toolCallId);
  const run = { runId: textAt(row.body, 'run_id') ?? '', traceId: textAt(row.body, 'trace_id') ?? '' };
  return {
    kind: 'call',
    request: {
      context: contextOf(caller, facts, run),
      session: bindingOf(facts, facts.intent),
      tool: textAt(row.body, 'tool') ?? '',
      args: {},
      toolCallId,
    },
  };
}

/** Throws NOT_FOUND alike for an unknown and a foreign session or call. */
export async function requestedCall(
  at: { sessions: Sessions; store: Store },
  caller: Caller,
  handle: { session_id: string; tool_call_id: string },
  series?: Series,
): Promise<Requested> {
  const held = await at.sessions.load(caller, handle.session_id, series);
  return callOf(at.store, caller, held, handle.tool_call_id);
}

function nodeOf(managed: ManagedState | undefined): Pick<AskedAt, 'node'> {
  const parent = managed?.facts.parent;
  return parent === undefined ? {} : { node: { workflowId: parent.workflow_id, nodeId: parent.node_id } };
}

/** The same in a session that has just been loaded for this caller. */
export async function callOf(
  store: Store,
  caller: Caller,
  held: HeldSession,
  toolCallId: string,
): Promise<Requested> {
  const { facts, calls, managed } = held.state;
  const call = calls.find((one) => one.id === toolCallId);
  if (call === undefined) return longAgo(store, caller, facts, toolCallId);
  const context = contextOf(caller, facts, call);
  if (call.state.at === 'refused') return refusal(store, held, call, context);
  return {
    kind: 'call',
    request: {
      context,
      session: bindingOf(facts, call.intent ?? facts.intent),
      asked: { turnIndex: call.turnIndex, callCount: call.callsBefore, ...nodeOf(managed) },
      tool: call.tool,
      args: await exactArguments(store, held, call),
      toolCallId: call.id,
    },
    ...(call.state.at === 'waiting' ? { waitsFor: call.state.approvalId } : {}),
  };
}
