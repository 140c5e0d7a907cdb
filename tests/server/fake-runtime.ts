// A small Runtime whose answers and approvals the tests control. It keeps the rules the server relies on: a call runs
// only when its digest is approved, an approval moves once, and the same digest is put to a client once.
import type { DecisionView } from '../../src/pack/turn/contract.ts';
import { digestJson } from '../../src/base/digest.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { Answerer, ApprovalState, Delivery } from '../../src/kernel/approvals/approval.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import type { WorkAnswer } from '../../src/pack/managed/surface.ts';
import type { TurnFailure, TurnInput, TurnOutput } from '../../src/pack/turn/contract.ts';
import type {
  ApprovalPrompt,
  CallAnswer,
  CallToolInput,
  GovernedTool,
  Health,
  InspectKind,
  Inspection,
  ListPage,
  ListQuery,
  Runtime,
  RuntimeIo,
} from '../../src/runtime/contract.ts';

export const DECISION: DecisionView = {
  decision: 'allow',
  rule_id: 'capability_rule',
  layer: 'workspace',
  reasons: ['the rule says so'],
  policy_digest: 'sha256:policy',
};

export function governedTool(id: string, more: Partial<GovernedTool> = {}): GovernedTool {
  return {
    id,
    name: id.split(':').at(-1) ?? id,
    description: `does ${id}`,
    inputSchema: { type: 'object', properties: { path: { type: 'string' } } },
    pin: { state: 'pinned', digest: 'sha256:pin' },
    approval_required: false,
    ...more,
  };
}

interface FakeApproval {
  id: string;
  digest: string;
  state: ApprovalState;
  asked: boolean;
}

type Step = (io: RuntimeIo) => Promise<void>;

export class FakeRuntime implements Runtime {
  readonly config = {
    runtime: { elicitationWaitMs: 25_000, maxCallsInFlight: 8, maxLineBytes: 64 * 1024 },
  } as unknown as RuntimeConfig;
  readonly managed = {} as Runtime['managed'];
  reads: Runtime['reads'] = {
    offered: { resources: false, updates: false, prompts: false, completions: false },
    servers: async () => [],
    list: async () => [],
    watch: () => Promise.reject(new RuntimeError('NOT_FOUND')),
    onListChanged: () => () => undefined,
  };
  tools: GovernedTool[] = [
    governedTool('files:read'),
    governedTool('files:write', { approval_required: true }),
  ];
  health: Health = { status: 'ok', checks: [{ check: 'store', status: 'ok', detail: 'writable' }] };
  /** Calls that had an effect, in order. */
  readonly effects: { tool: string; args: unknown; callId: string }[] = [];
  readonly deliveries: { delivery: Delivery; answerer: Answerer; actor: string | undefined }[] = [];
  readonly approvals: FakeApproval[] = [];
  readonly turns: TurnInput[] = [];
  readonly keys: (string | undefined)[] = [];
  exposedReads = 0;
  /** Runs inside a call or turn, before it answers. */
  during: Step = async () => undefined;
  turn: () => TurnOutput | TurnFailure = () => TURN;
  /** Thrown by every call. */
  fault: Error | undefined;
  /** Why an answer does not suffice, if it does not. */
  refuses: string | undefined;
  #listeners = new Set<() => void>();
  #calls = 0;

  async rebuildSnapshot(): Promise<{ file: string }> {
    throw new RuntimeError('NOT_FOUND');
  }

  async executeTurn(_caller: Caller, input: TurnInput, io: RuntimeIo): Promise<TurnOutput | TurnFailure> {
    this.turns.push(input);
    await this.during(io);
    if (this.fault !== undefined) throw this.fault;
    return this.turn();
  }

  /** What the five tools of lasting work answer. */
  work: () => Promise<WorkAnswer> = () => Promise.reject(new RuntimeError('NOT_FOUND'));
  readonly asked: unknown[] = [];

  startSession(_caller: Caller, input: unknown): Promise<WorkAnswer> {
    this.asked.push(input);
    return this.work();
  }

  resumeSession(_caller: Caller, input: unknown): Promise<WorkAnswer> {
    this.asked.push(input);
    return this.work();
  }

  startWorkflow(_caller: Caller, input: unknown): Promise<WorkAnswer> {
    this.asked.push(input);
    return this.work();
  }

  resumeWorkflow(_caller: Caller, input: unknown): Promise<WorkAnswer> {
    this.asked.push(input);
    return this.work();
  }

  question(_caller: Caller, approvalId: string): ReturnType<Runtime['question']> {
    return Promise.resolve({ key: approvalId, shownAt: 0 });
  }

  cancel(_caller: Caller, { session_id }: { session_id: string }): ReturnType<Runtime['cancel']> {
    this.asked.push({ canceled: session_id });
    return Promise.resolve({ session_id, status: 'canceled' });
  }

  async callTool(caller: Caller, input: CallToolInput, io: RuntimeIo): Promise<CallAnswer> {
    if (input.session_id !== 'ses_1') throw new RuntimeError('NOT_FOUND');
    return this.#call('files:write', { recorded: input.tool_call_id }, { callId: input.tool_call_id, io });
  }

  async callCapability(
    _caller: Caller,
    call: { tool: string; args: unknown; idempotencyKey?: string; callId?: string },
    io: RuntimeIo,
  ): Promise<CallAnswer> {
    this.keys.push(call.idempotencyKey);
    return this.#call(call.tool, call.args, { callId: call.callId, io });
  }

  async #call(
    tool: string,
    args: unknown,
    { callId = `call_${++this.#calls}`, io }: { callId: string | undefined; io: RuntimeIo },
  ): Promise<CallAnswer> {
    if (this.fault !== undefined) throw this.fault;
    const digest = digestJson({ tool, args: args as JsonObject });
    const needed = this.tools.find((known) => known.id === tool)?.approval_required === true;
    const standing = this.approvals.find(
      (approval) =>
        approval.digest === digest && ['pending', 'approved', 'rejected'].includes(approval.state),
    );
    if (needed && standing?.state !== 'approved') {
      if (standing?.state === 'rejected') return this.#answer(tool, callId, { status: 'denied' });
      const approval = standing ?? this.#open(digest);
      return this.#answer(tool, callId, {
        status: 'approval_required',
        approval: {
          approval_id: approval.id,
          action_digest: digest,
          answer_by: '2027-01-15T08:00:00.000Z',
          answer_at: ['elicitation', `terminal: agent-runtime approvals resolve ${approval.id}`],
        },
      });
    }
    if (standing !== undefined) standing.state = 'consumed';
    await this.during(io);
    this.effects.push({ tool, args, callId });
    const result = {
      content: [{ type: 'text', text: `${tool} ok` }],
      structured: { ok: true },
      replayed: false,
    };
    return this.#answer(tool, callId, { status: 'done', side_effect_status: 'applied', result });
  }

  #answer(tool: string, callId: string, more: Partial<CallAnswer>): CallAnswer {
    return {
      status: 'done',
      decision: DECISION,
      receipt_ids: ['rcp_1'],
      side_effect_status: 'not_executed',
      tool,
      tool_call_id: callId,
      session_id: 'ses_1',
      run_id: 'run_1',
      trace_id: 'trace_1',
      ...more,
    };
  }

  #open(digest: string): FakeApproval {
    const approval: FakeApproval = {
      id: `apr_${this.approvals.length + 1}`,
      digest,
      state: 'pending',
      asked: false,
    };
    this.approvals.push(approval);
    return approval;
  }

  async exposedTools(): Promise<GovernedTool[]> {
    this.exposedReads += 1;
    return this.tools;
  }

  async approvalPrompt(_caller: Caller, approvalId: string): Promise<ApprovalPrompt> {
    const approval = this.approvals.find((known) => known.id === approvalId);
    if (approval?.state !== 'pending') throw new RuntimeError('NOT_FOUND');
    return {
      approval_id: approval.id,
      action_digest: approval.digest,
      text: `Approve this call?\nDigest: ${approval.digest}`,
      askable: !approval.asked,
    };
  }

  async deliverApproval(
    answerer: Answerer,
    approvalId: string,
    delivery: Delivery,
    actor?: string,
  ): Promise<{ state: ApprovalState; moved: boolean; why?: string }> {
    const approval = this.approvals.find((known) => known.id === approvalId);
    if (approval === undefined) throw new RuntimeError('NOT_FOUND');
    this.deliveries.push({ delivery, answerer, actor });
    approval.asked = true;
    if (approval.state !== 'pending') return { state: approval.state, moved: false, why: 'not pending' };
    if (delivery.kind !== 'answered') return { state: 'pending', moved: false, why: 'no answer' };
    if (this.refuses !== undefined) return { state: 'pending', moved: false, why: this.refuses };
    approval.state = delivery.decision === 'approve' ? 'approved' : 'rejected';
    return { state: approval.state, moved: true };
  }

  async explainPolicy(
    _caller: Caller,
    call: { tool: string; args: unknown; session_id?: string; intent?: string },
  ): Promise<JsonObject> {
    return { decision: 'allow', tool: call.tool, args: call.args as JsonObject };
  }

  async listRequests(_caller: Caller, query: ListQuery): Promise<ListPage> {
    return { items: [{ id: 'run_1', asked: { ...query } }], next_cursor: 'more' };
  }

  async listSessions(): Promise<ListPage> {
    return { items: [{ id: 'ses_1' }] };
  }

  async listApprovals(_caller: Caller, query: ListQuery): Promise<ListPage> {
    const items = this.approvals.filter((approval) => approval.state === query.filter?.status);
    return { items: items.map(({ id, state }) => ({ id, state })) };
  }

  async listCapabilities(): Promise<ListPage> {
    return { items: this.tools.map(({ id }) => ({ id })) };
  }

  async listCapabilitySessions(): Promise<ListPage> {
    return { items: [] };
  }

  async inspect(_caller: Caller, kind: InspectKind, id: string): Promise<Inspection> {
    if (id.startsWith('foreign')) throw new RuntimeError('NOT_FOUND');
    return { kind, id, state: { id }, timeline: [], decisions: [], receipts: [], links: {} };
  }

  async getHealth(): Promise<Health> {
    return this.health;
  }

  async refreshTools(): Promise<void> {
    // Nothing changes by itself here.
  }

  onToolsChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  changeTools(tools: GovernedTool[]): void {
    this.tools = tools;
    for (const listener of this.#listeners) listener();
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}

export const TURN: TurnOutput = {
  status: 'reply',
  intent: 'support',
  assistant_message: 'Hello.',
  provider: { kind: 'scripted', model: 'fixture' },
  finish_reason: 'stop',
  session_id: 'ses_1',
  run_id: 'run_1',
  trace_id: 'trace_1',
  turn_index: 0,
};
