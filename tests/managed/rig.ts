// Managed sessions over the real kernel and a store that the test chooses: processes that share it, a model that answers
// by what it is told, effects counted outside of them, and a store wrapper that lets a process die at any commit.
import { RuntimeError } from '../../src/base/errors.ts';
import type { ManagedPack } from '../../src/pack/managed/managed-sessions.ts';
import type { ManagedResult, RunManaged } from '../../src/pack/managed/contract.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import type { Execution } from '../../src/kernel/execution/executor.ts';
import type { ModelInput, ModelOutput } from '../../src/providers/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import type { Store } from '../../src/store/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { Answerer } from '../../src/kernel/approvals/approval.ts';
import { asks, CALLER, createFakeModel, createPackRig, governed, rigConfig, user } from '../pack/rig.ts';
import type { FakeModel, Rig } from '../pack/rig.ts';

export { says } from '../pack/rig.ts';
export { asks, CALLER, governed, user };

export const PERSON: Answerer = {
  tenant: 'local',
  principal: 'os:1000',
  roles: [],
  attestation: 'same_user',
  channel: 'terminal',
};

/** What the model says to what it is told: the same answer to the same conversation, in every process. */
export type Mind = (input: ModelInput) => Partial<ModelOutput>;

export interface World {
  store: Store;
  clock: FakeClock;
  config: RuntimeConfig;
  effects: Execution[];
  dead: Set<string>;
  mind: Mind;
  born: number;
}

export interface Process {
  instance: string;
  rig: Rig;
  managed: ManagedPack;
  model: FakeModel;
  start(text: string, how?: RunManaged): Promise<ManagedResult>;
  resume(id: string, how?: RunManaged, caller?: Caller): Promise<ManagedResult>;
}

export const IO: { signal: AbortSignal } = { signal: new AbortController().signal };

export interface WorldOptions {
  store?: Store;
  config?: RuntimeConfig;
  mind?: Mind;
}

export function createWorld(options: WorldOptions = {}): World {
  return {
    store: options.store ?? createMemoryStore({ keys: memoryTenantKeys(), ids: createFixedIds('salt') }),
    clock: createFakeClock(),
    config: options.config ?? roomyConfig(),
    effects: [],
    dead: new Set(),
    mind: options.mind ?? (() => ({ text: 'ok' })),
    born: 0,
  };
}

/** The sample catalog with bounds that long sessions do not meet. */
export function roomyConfig(over: Partial<RuntimeConfig> = {}): RuntimeConfig {
  const base = rigConfig({ policy: { cycle: { maxRepeats: 10_000, windowSeconds: 600 } } });
  return {
    ...base,
    limits: { maxTurnsPerSession: 10_000, maxToolCallsPerSession: 10_000, maxInputBytes: 10_000_000 },
    runtime: { ...base.runtime, maxToolHops: 10_000 },
    ...over,
  };
}

/** Another process over the same store: its own instance, ids, caches and model connection. */
export function boot(world: World, wrap: (store: Store) => Store = (store) => store): Process {
  const instance = `inst_${String(++world.born)}`;
  const model = createFakeModel();
  const generate = model.generate.bind(model);
  const rig = createPackRig({
    config: world.config,
    store: wrap(world.store),
    clock: world.clock,
    model: Object.assign(model, {
      generate: (...[input, options]: Parameters<typeof generate>) => {
        model.next(world.mind(input));
        return generate(input, options);
      },
    }),
    instance,
    seed: instance,
    isAlive: async (other) => !world.dead.has(other),
  });
  const run = rig.tool.run;
  rig.tool.run = (execution, signal) => {
    world.effects.push(execution);
    return run(execution, signal);
  };
  const { managed } = rig.pack;
  return {
    instance,
    rig,
    managed,
    model,
    async start(text, how) {
      const { session_id: id } = await managed.create(CALLER, {
        executeTurnInput: { messages: [{ role: 'user', content: text }] },
      });
      return managed.run(CALLER, id, { reason: 'created', ...how }, IO);
    },
    resume: (id, how = {}, caller = CALLER) => managed.run(caller, id, how, IO),
  };
}

export interface Death {
  /** Whether it has come. */
  happened: boolean;
}

/** The process dies at its n-th commit: before it is written, or after, with the answer lost. Nothing of it works then. */
export function dyingStore(inner: Store, at: number, when: 'before' | 'after', death: Death): Store {
  let commits = 0;
  const dead = (): RuntimeError => new RuntimeError('STORE_UNAVAILABLE', 'this process is dead');
  const alive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (death.happened) throw dead();
    return work();
  };
  return {
    ...inner,
    async commit(commit) {
      if (death.happened) throw dead();
      commits += 1;
      if (commits !== at) return inner.commit(commit);
      if (when === 'after') await inner.commit(commit);
      death.happened = true;
      throw dead();
    },
    claim: (...args) => alive(() => inner.claim(...args)),
    release: (...args) => alive(() => inner.release(...args)),
    read: (...args) => alive(() => inner.read(...args)),
    head: (...args) => alive(() => inner.head(...args)),
    row: (...args) => alive(() => inner.row(...args)),
    unseal: (...args) => alive(() => inner.unseal(...args)),
    counter: (...args) => alive(() => inner.counter(...args)),
  };
}

/** Answers an approval as the person at a terminal, from whichever process. */
export async function decide(at: Process, approvalId: string, decision: 'approve' | 'reject'): Promise<void> {
  const done = await at.rig.kernel.deliver(PERSON, approvalId, {
    kind: 'answered',
    decision,
    latencyMs: 5_000,
  });
  if (!done.moved) throw new Error(`the approval did not move: ${done.why ?? ''}`);
}

/** The calls that the model is told of so far. */
export function toolsTold(input: ModelInput): number {
  return input.messages.filter((one) => one.role === 'tool').length;
}

export function lastUser(input: ModelInput): string {
  return input.messages.filter((one) => one.role === 'user').at(-1)?.content ?? '';
}

export const ask = (text = 'go'): { executeTurnInput: { messages: ReturnType<typeof user>[] } } => ({
  executeTurnInput: { messages: [user(text)] },
});
export const OTHER: Caller = { ...CALLER, principal: 'os:2000' };
/** A model that uses a tool so many times and then completes. */
export const LONG =
  (turns: number): Mind =>
  (input) =>
    toolsTold(input) < turns
      ? asks('note', { n: toolsTold(input) })
      : governed({ status: 'complete', assistant_message: 'done' });

export async function id(at: Process, over: object = {}): Promise<string> {
  return (await at.managed.create(CALLER, { ...ask(), ...over })).session_id;
}

/** The status that lists show. */
export async function listed(at: Process, sessionId: string): Promise<string | undefined> {
  return (await at.rig.store.row('session', 'local', sessionId))?.status;
}
