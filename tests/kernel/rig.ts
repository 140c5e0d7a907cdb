// A kernel over the memory store with a tool that the test controls and that counts its own effects.
import type { RuntimeConfig } from '../../src/config/types.ts';
import { createApprovals } from '../../src/kernel/approvals/approvals.ts';
import type { Answerer, Delivery } from '../../src/kernel/approvals/approval.ts';
import type { CallRequest, CallResult } from '../../src/kernel/call.ts';
import { createKernel } from '../../src/kernel/create-kernel.ts';
import type { Kernel } from '../../src/kernel/create-kernel.ts';
import { createRedactor } from '../../src/kernel/evidence/redact.ts';
import type {
  Execution,
  ExecutionResult,
  Executor,
  ToolDefinition,
} from '../../src/kernel/execution/executor.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { createGate } from '../../src/kernel/policy/gate.ts';
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
  call(tool: string, args: unknown, over?: Partial<CallRequest>): Promise<CallResult>;
  records(): Promise<StoredRecord[]>;
}

export interface RigOptions {
  config?: RuntimeConfig;
  store?: Store;
  clock?: FakeClock;
  instance?: string;
  isAlive?: (instance: string) => Promise<boolean>;
  idSeed?: string;
}

function definitions(config: RuntimeConfig): Map<string, ToolDefinition> {
  return new Map(
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
}

export const OK: ExecutionResult = {
  kind: 'result',
  content: [{ type: 'text', text: 'ok' }],
  isError: false,
  notes: [],
};

export function createRig(options: RigOptions = {}): Rig {
  const config = options.config ?? sampleConfig();
  const clock = options.clock ?? createFakeClock();
  const ids = createFixedIds(options.idSeed ?? 'rig');
  const store = options.store ?? createMemoryStore({ keys: memoryTenantKeys(), ids });
  const effects: Execution[] = [];
  const tool: Rig['tool'] = { run: () => Promise.resolve(OK) };
  const executor: Executor = {
    transports: ['in_process'],
    execute: (execution, io) => {
      effects.push(execution);
      return tool.run(execution, io.signal);
    },
  };
  const known = definitions(config);
  const kernel = createKernel({
    config,
    store,
    gate: createGate(config),
    approvals: createApprovals(store),
    directory: { definition: (id) => known.get(id), all: () => [...known.values()] },
    executors: [executor],
    redactor: createRedactor({ secrets: ['canary-secret-value'], fields: [], patterns: [] }),
    clock,
    ids,
    instance: options.instance ?? 'inst_rig',
    isAlive: options.isAlive ?? (() => Promise.resolve(false)),
  });
  let calls = 0;
  return {
    kernel,
    store,
    clock,
    config,
    effects,
    tool,
    call(name, args, over = {}) {
      calls += 1;
      return kernel.call(
        {
          context: {
            caller: CALLER,
            agentId: config.agent.id,
            sessionId: SESSION,
            runId: 'run_1',
            traceId: 'trace',
            taskType: 'agent-session',
            delegation: NO_DELEGATION,
          },
          session: {
            id: SESSION,
            startedAt: clock.now(),
            actor: CALLER.actor,
            lane: 'default',
            task: 'agent-session',
          },
          tool: name,
          args,
          toolCallId: `call_${options.idSeed ?? 'rig'}_${calls}`,
          ...over,
        },
        { progress: () => undefined, signal: new AbortController().signal },
      );
    },
    records: () => store.read({ tenant: 'local', aggregate: 'session', id: SESSION }),
  };
}
