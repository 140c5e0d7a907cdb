// What clients listen to while the configuration is replaced.
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { GovernedReads } from '../../src/runtime/contract.ts';
import { Generations } from '../../src/runtime/generations.ts';
import { LastResults } from '../../src/kernel/budgets/last-results.ts';
import { openDefaults } from '../../src/pack/sessions/default-sessions.ts';
import type { Joined } from '../../src/runtime/joined.ts';
import { KeptReads } from '../../src/runtime/kept-reads.ts';
import { CALLER } from '../kernel/rig.ts';

interface Fake {
  joined: Joined;
  /** What was asked of it, in order. */
  said: string[];
  changeLists(): void;
  changeResource(): void;
}

function generation(name: string, status: 'done' | 'denied', log: string[]): Fake {
  const listeners = new Set<(kind: 'resources' | 'prompts') => void>();
  const watching = new Set<(uri: string) => void>();
  const reads: Partial<GovernedReads> = {
    watch: async (_caller, { uri }, notify) => {
      log.push(`${name} watches ${uri}`);
      watching.add(notify);
      return () => {
        log.push(`${name} stops`);
        watching.delete(notify);
      };
    },
    onListChanged: (_caller, listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const callCapability = async ({ tool }: { tool: string }): Promise<unknown> => {
    log.push(`${name} is asked for ${tool}`);
    return { status, decision: { reasons: ['no'] } };
  };
  const handle = {
    reads,
    callCapability: (_: unknown, call: { tool: string }) => callCapability(call),
  } as unknown as Joined['handle'];
  const joined: Joined = {
    handle,
    lines: { lines: new Map(), settled: () => Promise.resolve() },
    defaults: openDefaults('inst_test'),
    results: new LastResults(),
    stopWorker: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  return {
    joined,
    said: log,
    changeLists: () => listeners.forEach((one) => one('prompts')),
    changeResource: () => watching.forEach((one) => one('docs://a')),
  };
}

for (const status of ['done', 'denied'] as const) {
  test(`a subscription is asked for anew and, where that is ${status}, ${status === 'done' ? 'goes on' : 'ends'}`, async () => {
    const log: string[] = [];
    const [old, next] = [generation('old', 'done', log), generation('next', status, log)];
    const generations = new Generations(old.joined, () => undefined);
    const reads = new KeptReads(generations, () => undefined);
    const told: string[] = [];
    const { signal } = new AbortController();
    const stop = await reads.watch(CALLER, { server: 'desk', uri: 'docs://a', signal }, (uri) =>
      told.push(uri),
    );
    old.changeResource();
    expect(told).toEqual(['docs://a']);

    await generations.take(next.joined, () => Promise.resolve());
    reads.moved();
    for (let turns = 0; turns < 5; turns += 1) await setImmediate();
    const renewed = ['old watches docs://a', 'old stops', 'next is asked for desk:resources/subscribe'];
    expect(log).toEqual(status === 'done' ? [...renewed, 'next watches docs://a'] : renewed);
    expect(told).toHaveLength(2); // what changed in between was seen by nobody
    old.changeResource();
    next.changeResource();
    expect(told).toHaveLength(status === 'done' ? 3 : 2);
    stop();
    next.changeResource();
    expect(told).toHaveLength(status === 'done' ? 3 : 2);
  });
}

test('whoever listens for changed lists hears those of the servers that are connected now', async () => {
  const log: string[] = [];
  const [old, next] = [generation('old', 'done', log), generation('next', 'done', log)];
  const generations = new Generations(old.joined, () => undefined);
  const reads = new KeptReads(generations, () => undefined);
  let heard = 0;
  const stop = reads.onListChanged(CALLER, () => (heard += 1));
  await generations.take(next.joined, () => Promise.resolve());
  reads.moved();
  old.changeLists();
  expect(heard).toBe(0);
  next.changeLists();
  expect(heard).toBe(1);
  stop();
  next.changeLists();
  expect(heard).toBe(1);
});
