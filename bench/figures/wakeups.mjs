// Workflows that all wait for the same time: from that time until every one of them has been woken once and has ended, by
// one worker, against timer rows that are taken in one loop.
import { join } from 'node:path';
import { createQueue } from '../../dist/pack/background/queue.js';
import { createWorker } from '../../dist/pack/background/worker.js';
import { createFakeClock } from '../../dist/testing/index.js';
import { openTimers } from '../floor/timers.mjs';
import { openEngine } from '../lib/engine.mjs';
import { figure, interleave } from '../lib/measure.mjs';
import { CALLER, ownIo } from '../lib/runtime.mjs';

const IN_FLIGHT = 64;
const AHEAD_MS = 3_600_000;

async function sleepers({ workflows }, count, wakeAt) {
  const node = {
    id: 'later',
    execute_turn_input: { messages: [{ role: 'user', content: 'It is time.' }] },
    wake_at: new Date(wakeAt).toISOString(),
  };
  let made = 0;
  const lane = async () => {
    while (made++ < count) {
      const { kind } = await workflows.start(CALLER, { workflow: { nodes: [node] } }, ownIo());
      if (kind !== 'scheduled') throw new Error(`a sleeper is ${kind}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

function workerOf({ store, workflows }, clock) {
  const runs = {
    wake: async ({ tenant, payload }, signal) => {
      await workflows.wake(tenant, payload, { callerOf: () => CALLER, io: { signal } });
      return 'done';
    },
  };
  const queue = createQueue({ store, clock, maxQueued: 1 });
  const isAlive = async () => true;
  return createWorker({ store, clock, queue, runs, instance: 'inst_bench', isAlive, maxRunning: IN_FLIGHT });
}

export async function run({ rounds = 8, warmup = 2, wakeups = 1000 } = {}) {
  const clock = createFakeClock(Date.now());
  const engine = await openEngine({ clock });
  const bare = openTimers(join(engine.place.root, 'floor.db'));
  const worker = workerOf(engine, clock);
  try {
    const times = await interleave(rounds, warmup, {
      ours: async () => {
        const before = engine.ran();
        await sleepers(engine, wakeups, clock.now() + AHEAD_MS);
        await worker.tick();
        if (engine.ran() !== before) throw new Error('a wakeup was early');
        clock.advance(AHEAD_MS);
        const begun = performance.now();
        while ((await worker.tick()) > 0) await worker.settled();
        await worker.settled();
        const took = performance.now() - begun;
        if (engine.ran() - before !== wakeups) throw new Error('not every wakeup was fired once');
        return took;
      },
      bare: async () => {
        bare.fill(wakeups, clock.now());
        const begun = performance.now();
        if (bare.takeAll(clock.now()) !== wakeups) throw new Error('not every row was taken once');
        return performance.now() - begun;
      },
    });
    return [figure('wakeups', 'ms', times.ours, times.bare)];
  } finally {
    bare.close();
    await engine.close();
  }
}
