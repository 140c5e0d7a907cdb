// A kernel over the memory store with a tool that the test controls and that counts its own effects.
import type { RuntimeConfig } from '../../src/config/types.ts';
import { createApprovals } from '../../src/kernel/approvals/approvals.ts';
import type { Approvals } from '../../src/kernel/approvals/approvals.ts';
import type { Answerer, Delivery } from '../../src/kernel/approvals/approval.ts';
import type { CallRequest, CallResult, SessionBinding } from '../../src/kernel/call.ts';
import { createKernel } from '../../src/kernel/create-kernel.ts';
import type { Kernel } from '../../src/kernel/create-kernel.ts';
import { createRedactor } from '../../src/kernel/evidence/redact.ts';
import type { Redactor } from '../../src/kernel/evidence/redact.ts';
import type {
  CallIo,
  Execution,
  ExecutionResult,
  Executor,
  ToolDefinition,
} from '../../src/kernel/execution/executor.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import type { Caller, RunContext } from '../../src/kernel/identity.ts';
import type { PinState } from '../../src/kernel/policy/decision.ts';
import { createGate } from '../../src/kernel/policy/gate.ts';
import type { Gate } from '../../src/kernel/policy/gate.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import type { Store, StoredRecord } from '../../src/store/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { sampleConfig } from './sample-config.ts';

export const SESSION = 'ses_sample';
export const CALLER: Caller = {
  tenant: 'local',
  principal: 'os:1000',
  actor: 'stdio:1',
  roles: [],
  scopes: [],
  lane: 'default',
};
export const PERSON: Answerer = {
  tenant: 'local',
  principal: 'os:1000',
  roles: [],
  attestation: 'client',
  channel: 'elicitation',
};
export const APPROVE: Delivery = { kind: 'answered', decision: 'approve', latencyMs: 4000 };
export const REJECT: Delivery = { kind: 'answered', decision: 'reject', latencyMs: 4000 };

export interface Rig {
  kernel: Kernel;
  store: Store;
  clock: FakeClock;
  config: RuntimeConfig;
  /** Every execution that really ran, in order. */
  effects: Execution[];
  /** What the tool does; default: succeeds. */
  tool: { run: (execution: Execution, signal: AbortSignal) => Promise<ExecutionResult> };
  /** Pins by tool; a test changes them as a server would. */
  pins: Map<string, PinState>;
  request(tool: string, args: unknown, over?: Partial<CallRequest>): CallRequest;
  call(tool: string, args: unknown, over?: Partial<CallRequest>, io?: Partial<CallIo>): Promise<CallResult>;
  records(session?: string): Promise<StoredRecord[]>;
}

export interface RigOptions {
  config?: RuntimeConfig;
  store?: Store;
  /** Put around the store that the kernel gets; the rig's own `store` stays the inner one. */
  wrapStore?: (store: Store) => Store;
  wrapApprovals?: (approvals: Approvals, store: Store) => Approvals;
  wrapGate?: (gate: Gate) => Gate;
  redactor?: Redactor;
  secrets?: string[];
  clock?: FakeClock;
  instance?: string;
  isAlive?: (instance: string) => Promise<boolean>;
  idSeed?: string;
}

/** How a check gets its rigs; a planted bug hands out broken ones. */
export type MakeRig = (options?: RigOptions) => Rig;

function definitions(config: RuntimeConfig, pins: Map<string, PinState>): Map<string, () => ToolDefinition> {
  return new Map(
    Object.values(config.capabilities).map((one) => [
      one.id,
      () => ({
        id: one.id,
        name: one.tool,
        description: one.description ?? '',
        inputSchema: one.inputSchema ?? { type: 'object' },
        pin: pins.get(one.id) ?? { state: 'declared', digest: `sha256:${one.id}` },
      }),
    ]),
  );
}

export const OK: ExecutionResult = {
  kind: 'result',
  content: [{ type: 'text', text: 'ok' }],
  isError: false,
  notes: [],
};

export const CANARY = 'canary-secret-value';

export function contextOf(over: Partial<RunContext> = {}): RunContext {
  return {
    caller: CALLER,
    agentId: 'agent-1',
    sessionId: SESSION,
    runId: 'run_1',
    traceId: 'trace',
    taskType: 'agent-session',
    delegation: NO_DELEGATION,
    ...over,
  };
}

export function sessionOf(clock: FakeClock, over: Partial<SessionBinding> = {}): SessionBinding {
  return {
    id: SESSION,
    startedAt: clock.now(),
    actor: CALLER.actor,
    lane: 'default',
    task: 'agent-session',
    ...over,
  };
}

export function createRig(options: RigOptions = {}): Rig {
  const config = options.config ?? sampleConfig();
  const clock = options.clock ?? createFakeClock();
  const startedAt = clock.now();
  const seed = options.idSeed ?? 'rig';
  const ids = createFixedIds(seed);
  const store = options.store ?? createMemoryStore({ keys: memoryTenantKeys(), ids: createFixedIds('salt') });
  const given = options.wrapStore?.(store) ?? store;
  const approvals = createApprovals(given);
  const redactor =
    options.redactor ?? createRedactor({ secrets: options.secrets ?? [CANARY], fields: [], patterns: [] });
  const gate = createGate(config, { redact: (text) => redactor.text(text) });
  const effects: Execution[] = [];
  const pins = new Map<string, PinState>();
  const tool: Rig['tool'] = { run: () => Promise.resolve(OK) };
  const executor: Executor = {
    transports: ['in_process'],
    execute: (execution, io) => {
      effects.push(execution);
      return tool.run(execution, io.signal);
    },
  };
  const known = definitions(config, pins);
  const kernel = createKernel({
    config,
    store: given,
    gate: options.wrapGate?.(gate) ?? gate,
    approvals: options.wrapApprovals?.(approvals, given) ?? approvals,
    directory: { definition: (id) => known.get(id)?.(), all: () => [...known.values()].map((one) => one()) },
    executors: [executor],
    redactor,
    clock,
    ids,
    instance: options.instance ?? 'inst_rig',
    isAlive: options.isAlive ?? (() => Promise.resolve(false)),
  });
  let calls = 0;
  const request: Rig['request'] = (name, args, over = {}) => {
    calls += 1;
    return {
      context: contextOf({ agentId: config.agent.id }),
      session: sessionOf(clock, { startedAt }),
      tool: name,
      args,
      toolCallId: `call_${seed}_${calls}`,
      ...over,
    };
  };
  return {
    kernel,
    store,
    clock,
    config,
    effects,
    tool,
    pins,
    request,
    call: (name, args, over, io) =>
      kernel.call(request(name, args, over), {
        progress: () => undefined,
        signal: new AbortController().signal,
        ...io,
      }),
    records: (session = SESSION) => store.read({ tenant: 'local', aggregate: 'session', id: session }),
  };
}

/** The result, which must be of this status. */
export function expectStatus<S extends CallResult['status']>(
  result: CallResult,
  status: S,
): Extract<CallResult, { status: S }> {
  if (result.status !== status) {
    throw new Error(`expected ${status}, got ${result.status}: ${result.decision.reasons.join('; ')}`);
  }
  return result as Extract<CallResult, { status: S }>;
}

/** Calls a tool that waits and has a person approve it; the approval is not used yet. */
export async function approved(rig: Rig, tool: string, args: unknown): Promise<string> {
  const waiting = expectStatus(await rig.call(tool, args), 'waiting_approval');
  const id = waiting.approval.subject.approvalId;
  const { moved } = await rig.kernel.deliver(PERSON, id, APPROVE, CALLER.actor);
  if (!moved) throw new Error('the approval was not taken');
  return id;
}
