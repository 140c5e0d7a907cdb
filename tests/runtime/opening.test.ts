// A runtime that cannot be opened leaves nothing behind: no timer, no sign of life, no open journal of its own.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import type { Ids } from '../../src/base/ids.ts';
import { isInstanceAlive } from '../../src/kernel/instance.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import type { RuntimeOptions } from '../../src/runtime/options.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import type { Store } from '../../src/store/contract.ts';
import { configFor, place } from './rig.ts';
import type { Place } from './rig.ts';

interface Opening {
  options: RuntimeOptions;
  clock: FakeClock;
  /** Ids that were given out, of instances. */
  instances: string[];
}

function opening(at: Place, over: Partial<RuntimeOptions> = {}): Opening {
  const clock = createFakeClock();
  const instances: string[] = [];
  const ids: Ids = {
    ...randomIds,
    next: (kind) => {
      const id = randomIds.next(kind);
      if (kind === 'inst') instances.push(id);
      return id;
    },
  };
  const { workspace, state: stateDirectory } = at;
  return {
    options: { config: configFor(at), workspace, stateDirectory, env: {}, clock, ids, ...over },
    clock,
    instances,
  };
}

function breakPins({ workspace }: Place): void {
  mkdirSync(join(workspace, '.agent-runtime'), { recursive: true });
  writeFileSync(join(workspace, '.agent-runtime', 'tools.lock.json'), '<<<<<<< ours\n');
}

test('a pin file that cannot be read leaves no timer, and nobody is taken for alive', async () => {
  const at = await place();
  breakPins(at);
  const store = createMemoryStore();
  const { options, clock, instances } = opening(at, { store });
  await expect(createRuntime(options)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  expect(clock.pending).toBe(0);
  for (const id of instances) expect(await isInstanceAlive({ store, clock }, id, 'test')).toBe(false);
  // It is the caller's.
  expect(await store.row('session', 'local', 'none')).toBeUndefined();
});

test('a sign of life that cannot be given leaves no timer', async () => {
  const at = await place();
  const store = createMemoryStore();
  const full: Store = { ...store, claim: () => Promise.reject(new Error('disk full')) };
  const { options, clock } = opening(at, { store: full });
  await expect(createRuntime(options)).rejects.toThrow('disk full');
  expect(clock.pending).toBe(0);
});

test('a journal that it opened itself is closed again', async () => {
  const at = await place();
  breakPins(at);
  const { options } = opening(at);
  await expect(createRuntime(options)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  // An end empties the log into the journal.
  expect(statSync(join(at.workspace, '.agent-runtime', 'runtime.db-wal')).size).toBe(0);
});
