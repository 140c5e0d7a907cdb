// Workflows over the memory store, scripted node sessions and a clock that tests move.
import { Endable } from '../../src/base/abort.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import { createRedactor } from '../../src/kernel/evidence/redact.ts';
import type { TurnIo } from '../../src/pack/turn/run-turn.ts';
import type { WokenBy, WorkflowDeps, WorkflowHolds, Workflows } from '../../src/pack/workflows/contract.ts';
import { createWorkflows } from '../../src/pack/workflows/workflows.ts';
import { chainLeaseKey } from '../../src/store/contract.ts';
import type { Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { createFakeSessions } from './fake-sessions.ts';
import type { FakeSessions, Say, Script } from './fake-sessions.ts';

export const CALLER: Caller = {
  tenant: 'local',
  principal: 'os:1000',
  actor: 'stdio:1',
  roles: [],
  scopes: [],
  lane: 'default',
};
/** As a worker wakes: everybody is known. */
export const BY = (io: TurnIo, more: Partial<Caller> = {}): WokenBy => ({
  callerOf: (principal) => ({ ...CALLER, ...more, principal }),
  io,
});
export const STRANGER: Caller = { ...CALLER, principal: 'os:2000' };
export const SECRET = 'sk-this-is-a-secret-0123456789';

/** One hold at a time over the store's leases, as long as the test runs. */
export function createTestHolds(store: Store, now: () => number): WorkflowHolds {
  let taken = 0;
  return {
    async take(chain) {
      const claimed = await store.claim(chainLeaseKey(chain), `holder-${++taken}`, now(), 1e15);
      if (!claimed.ok) throw new RuntimeError('CONFLICT', 'held', { reason: 'run_held' });
      const { lease } = claimed;
      return {
        epoch: lease.epoch,
        over: new Endable(),
        release: () => store.release(lease),
      };
    },
  };
}

export interface Rig {
  store: Store;
  clock: FakeClock;
  sessions: FakeSessions;
  workflows: Workflows;
  deps: WorkflowDeps;
  io: TurnIo;
  progress: string[];
  /** Record types of the workflow, with their node. */
  records(id: string): Promise<string[]>;
  /** Fires what is due, as a worker would; how many timers there were. */
  fire(): Promise<number>;
}

/** By node: the ends of its runs, one after another; a list of lists scripts each attempt or iteration. */
export type Scripts = Record<string, Say[] | Say[][]>;

function scriptOf(scripts: Scripts): Script {
  return ({ node_id: node, attempt, iteration }, isUndo) => {
    const name = isUndo ? `undo ${node}` : node;
    const found = scripts[name] ?? [{ complete: `${name} done` }];
    if (!Array.isArray(found[0])) return found as Say[];
    const lists = found as Say[][];
    return lists[Math.min(attempt + iteration - 2, lists.length - 1)] ?? [];
  };
}

export function createRig(scripts: Scripts = {}): Rig {
  const store = createMemoryStore({ ids: createFixedIds('store') });
  const clock = createFakeClock();
  const sessions = createFakeSessions(scriptOf(scripts));
  const redactor = createRedactor({ secrets: [SECRET], fields: [], patterns: [] });
  const progress: string[] = [];
  const deps: WorkflowDeps = {
    store,
    clock,
    ids: createFixedIds('ids'),
    agentId: 'agent',
    sessions,
    holds: createTestHolds(store, () => clock.now()),
    redact: (value) => redactor.object(value),
  };
  const workflows = createWorkflows(deps);
  const io: TurnIo = {
    signal: new AbortController().signal,
    progress: (one) => progress.push(`${one.progress} ${one.message ?? ''}`),
  };
  return {
    store,
    clock,
    sessions,
    workflows,
    deps,
    io,
    progress,
    async records(id) {
      const found = await store.read({ tenant: 'local', aggregate: 'session', id });
      return found.map(({ header, evidence }) => {
        const node = evidence.state === 'present' ? evidence.value.node_id : undefined;
        return typeof node === 'string' ? `${header.type} ${node}` : header.type;
      });
    },
    async fire() {
      const due = await store.claimTimers('worker', clock.now(), 1000, 100);
      for (const { tenant, payload } of due) await workflows.wake(tenant, payload, BY(io));
      return due.length;
    },
  };
}

interface Messages {
  messages: { role: 'user'; content: string }[];
}
export function says(content: string): Messages {
  return { messages: [{ role: 'user', content }] };
}
export function node(id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { id, execute_turn_input: says(`do ${id}`), ...more };
}
/** `d` depends on `b` and `c`, which depend on `a`. */
export const DIAMOND: Record<string, unknown>[] = [
  node('a'),
  node('b', { depends_on: ['a'] }),
  node('c', { depends_on: ['a'] }),
  node('d', { depends_on: ['b', 'c'] }),
];
