// A pack over the real kernel and the memory store, with a model and a tool that the test controls, and counted stores.
import type { RuntimeConfig } from '../../src/config/types.ts';
import { createApprovals } from '../../src/kernel/approvals/approvals.ts';
import type { CallResult } from '../../src/kernel/call.ts';
import { createKernel } from '../../src/kernel/create-kernel.ts';
import type { Kernel } from '../../src/kernel/create-kernel.ts';
import { createRedactor } from '../../src/kernel/evidence/redact.ts';
import type { Execution, ExecutionResult, ToolDefinition } from '../../src/kernel/execution/executor.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { createGate } from '../../src/kernel/policy/gate.ts';
import { createPack, decisionView } from '../../src/pack/index.ts';
import type { KernelPort, LoopCallAnswer, LoopRuntime, Pack, TurnIo } from '../../src/pack/index.ts';
import type { TurnFailure, TurnInput, TurnOutput, TurnSnapshot } from '../../src/pack/turn/contract.ts';
import type { ModelInput, ModelOutput, ModelProfile, ModelProvider } from '../../src/providers/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import type { Commit, Store, StoredRecord } from '../../src/store/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { sampleConfig } from '../kernel/sample-config.ts';

export const CALLER: Caller = {
  tenant: 'local',
  principal: 'os:1000',
  actor: 'stdio:1',
  roles: [],
  scopes: [],
  lane: 'default',
};

export const PROFILE: ModelProfile = {
  name: 'demo',
  provider: 'scripted',
  model: 'test-model',
  deadlineMs: 60_000,
  maxResponseBytes: 1_000_000,
  maxOutputTokens: 1_000,
  maxRetries: 0,
};

export type Answer =
  | Partial<ModelOutput>
  | Error
  | ((input: ModelInput, onText: (delta: string) => void) => Partial<ModelOutput>);

/** A model's answer in plain text. */
export function says(text: string): Partial<ModelOutput> {
  return { text };
}

/** A model's answer in the governed form. */
export function governed(value: Record<string, unknown>): Partial<ModelOutput> {
  return { text: JSON.stringify(value) };
}

export function asks(name: string, input: unknown = {}, text = ''): Partial<ModelOutput> {
  return {
    text,
    toolCalls: [{ id: 'native-1', name, rawInput: JSON.stringify(input) }],
    finishReason: 'tool_calls',
  };
}

export interface FakeModel extends ModelProvider {
  readonly inputs: ModelInput[];
  next(...answers: Answer[]): void;
}

export function createFakeModel(baseUrl = ''): FakeModel {
  const inputs: ModelInput[] = [];
  const queue: Answer[] = [];
  return {
    kind: 'scripted',
    model: 'test-model',
    baseUrl,
    inputs,
    next: (...answers) => void queue.push(...answers),
    async generate(input, { onText }) {
      inputs.push(structuredClone(input));
      const answer = queue.shift() ?? says('ok');
      if (answer instanceof Error) throw answer;
      const given = typeof answer === 'function' ? answer(input, onText ?? (() => undefined)) : answer;
      const output = { text: '', toolCalls: [], finishReason: 'stop', complete: true, ...given };
      return { output, facts: { requestUrl: `${baseUrl}chat`, responseStatus: 200, attempts: 1 } };
    },
  };
}

export interface Counted {
  commits: Commit[];
  /** Records and bytes that were read, and how often the store was asked. */
  reads: { calls: number; records: number; bytes: number };
  fail: ((commit: Commit) => Error | undefined) | undefined;
}

/** The same store, with what goes in and out counted. */
export function countedStore(inner: Store, counted: Counted): Store {
  const weigh = <T>(value: T): T => {
    counted.reads.calls += 1;
    counted.reads.bytes += value === undefined ? 0 : JSON.stringify(value).length;
    return value;
  };
  return {
    ...inner,
    async commit(commit) {
      const fault = counted.fail?.(commit);
      if (fault !== undefined) throw fault;
      const done = await inner.commit(commit);
      if (done.ok) counted.commits.push(commit);
      return done;
    },
    async read(chain, from, limit) {
      const records = await inner.read(chain, from, limit);
      counted.reads.records += records.length;
      return weigh(records);
    },
    head: async (...args) => weigh(await inner.head(...args)),
    unseal: async (chain, seq) => weigh(await inner.unseal(chain, seq)),
    row: async (...args) => weigh(await inner.row(...args)),
    counter: async (key) => weigh(await inner.counter(key)),
    snapshot: async (chain) => weigh(await inner.snapshot(chain)),
  };
}

export interface Rig {
  pack: Pack;
  kernel: Kernel;
  store: Store;
  clock: FakeClock;
  config: RuntimeConfig;
  model: FakeModel;
  counted: Counted;
  effects: Execution[];
  tool: { run: (execution: Execution, signal: AbortSignal) => Promise<ExecutionResult> };
  runtime: LoopRuntime;
  turn(input: TurnInput, over?: { caller?: Caller; io?: Partial<TurnIo> }): Promise<TurnOutput | TurnFailure>;
  /** A turn that must succeed. */
  ok(input: TurnInput, over?: { caller?: Caller; io?: Partial<TurnIo> }): Promise<TurnOutput>;
  /** A turn that must fail. */
  fails(input: unknown, over?: { caller?: Caller }): Promise<TurnFailure>;
  run(turn: TurnOutput, caller?: Caller): Promise<CallResult | undefined>;
  records(sessionId: string): Promise<StoredRecord[]>;
  snapshots: TurnSnapshot[];
}

export interface RigOptions {
  config?: RuntimeConfig;
  store?: Store;
  clock?: FakeClock;
  model?: FakeModel;
  /** The provider of a profile, where more is wanted than the one fake model. */
  provider?: (profile: ModelProfile) => ModelProvider;
  instance?: string;
  isAlive?: (instance: string) => Promise<boolean>;
  seed?: string;
}

export function rigConfig(over: Parameters<typeof sampleConfig>[0] = {}): RuntimeConfig {
  const config = sampleConfig(over);
  return { ...config, models: { default: 'demo', profiles: { demo: PROFILE } } };
}

function toAnswer(result: CallResult): LoopCallAnswer {
  const decision = decisionView(result.decision);
  switch (result.status) {
    case 'waiting_approval':
      return {
        status: 'approval_required',
        decision,
        approval: { approval_id: result.approval.subject.approvalId },
      };
    case 'done':
      return { status: 'done', decision, result: { content: result.outcome.content } };
    case 'tool_error':
      return {
        ...{ status: 'tool_error', decision, result: { content: result.outcome.content } },
        ...(result.error === undefined ? {} : { error: result.error }),
        ...(result.endsRun === undefined ? {} : { on_failure: 'end_run' }),
      };
    case 'denied':
      return { status: 'denied', decision };
    case 'expired':
    case 'unknown':
    case 'canceled':
      return { status: result.status, decision, error: result.error };
  }
}

export function createPackRig(options: RigOptions = {}): Rig {
  const config = options.config ?? rigConfig();
  const clock = options.clock ?? createFakeClock();
  const ids = createFixedIds(options.seed ?? 'pack');
  const counted: Counted = { commits: [], reads: { calls: 0, records: 0, bytes: 0 }, fail: undefined };
  const store = countedStore(options.store ?? createMemoryStore({ ids }), counted);
  const model = options.model ?? createFakeModel();
  const effects: Execution[] = [];
  const tool: Rig['tool'] = {
    run: async () => ({ kind: 'result', content: [{ type: 'text', text: 'ok' }], isError: false, notes: [] }),
  };
  const known = new Map<string, ToolDefinition>(
    Object.values(config.capabilities).map((one) => [
      one.id,
      {
        id: one.id,
        name: one.tool,
        description: one.description ?? '',
        inputSchema: one.inputSchema ?? { type: 'object' },
        pin: { state: 'declared', digest: `sha256:${one.id}` },
      },
    ]),
  );
  const instance = options.instance ?? 'inst_pack';
  const kernel = createKernel({
    config,
    store,
    gate: createGate(config),
    approvals: createApprovals(store),
    directory: { definition: (id) => known.get(id), all: () => [...known.values()] },
    executors: [
      {
        transports: ['in_process'],
        execute: (execution, io) => {
          effects.push(execution);
          return tool.run(execution, io.signal);
        },
      },
    ],
    redactor: createRedactor({ secrets: ['canary-secret-value'], fields: [], patterns: [] }),
    clock,
    ids,
    instance,
    isAlive: async () => false,
    recorded: (appends, heads) => {
      pack.recorded(appends, heads);
    },
  });
  const port: KernelPort = kernel;
  const isAlive = options.isAlive ?? (async () => true);
  const provider = options.provider ?? (() => model);
  const pack = createPack({ config, store, kernel: port, clock, ids, model: provider, instance, isAlive });
  const snapshots: TurnSnapshot[] = [];
  const signal = new AbortController().signal;
  const turn: Rig['turn'] = (input, { caller = CALLER, io = {} } = {}) =>
    pack.executeTurn(caller, input, { signal, snapshot: (one) => void snapshots.push(one), ...io });
  const callTool: LoopRuntime['callTool'] = async (caller, handle, io) => {
    const requested = await pack.requestedCall(caller, handle);
    if (requested.kind === 'refused') return { status: 'denied', decision: requested.decision };
    return toAnswer(await kernel.call(requested.request, { progress: () => undefined, signal: io.signal }));
  };
  return {
    pack,
    kernel,
    store,
    clock,
    config,
    model,
    counted,
    effects,
    tool,
    snapshots,
    runtime: { executeTurn: pack.executeTurn, callTool },
    turn,
    async ok(input, over) {
      const answer = await turn(input, over);
      if ('error' in answer)
        throw new Error(
          `${answer.error.code}: ${answer.error.message} ${JSON.stringify(answer.error.details)}`,
        );
      return answer;
    },
    async fails(input, over) {
      const answer = await turn(input as TurnInput, over);
      if (!('error' in answer)) throw new Error(`the turn did not fail: ${JSON.stringify(answer)}`);
      return answer;
    },
    async run(output, caller = CALLER) {
      const requested = await pack.requestedCall(caller, {
        session_id: output.session_id,
        tool_call_id: output.tool_call_id ?? '',
      });
      return requested.kind === 'refused'
        ? undefined
        : kernel.call(requested.request, { progress: () => undefined, signal });
    },
    records: (id) => store.read({ tenant: 'local', aggregate: 'session', id }),
  };
}

export function evidenceOf(record: StoredRecord | undefined): Record<string, unknown> {
  if (record?.evidence.state !== 'present') throw new Error('no evidence');
  return record.evidence.value;
}

export function user(content: string): TurnInput['messages'][number] {
  return { role: 'user', content };
}
