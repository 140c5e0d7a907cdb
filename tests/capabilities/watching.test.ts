// What becomes of the watch of a resource when the connection that it is on ends.
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Reads } from '../../src/capabilities/reads/reads.ts';
import type { CapabilitySessionControls } from '../../src/config/types.ts';
import { readArgs } from '../../src/kernel/catalog/reads.ts';
import { createBench, freshSignal, server, until } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const PROGRAM = fileURLToPath(new URL('../server/reads/reading.mjs', import.meta.url));
const METHOD = 'resources/subscribe';
const uri = 'note://full';
const who = { tenant: 't', principal: 'p' };

interface Watching {
  bench: Bench;
  told: string[];
  isOver: () => boolean;
  hold: () => void;
  stop: () => void;
  poke(): Promise<unknown>;
  kill(): Promise<void>;
}

async function watching(controls: Partial<CapabilitySessionControls> = {}): Promise<Watching> {
  const bench = createBench([server('notes', [PROGRAM])], process.env, undefined, controls);
  onTestFinished(() => bench.end());
  let why: string | undefined;
  let isOver = false;
  const isPerCall = controls.mode === 'per_call';
  const reads = new Reads({ downstreams: bench.downstreams, isPerCall, held: () => why });
  const asked = await bench.call(`notes:${METHOD}`, readArgs(METHOD, { uri }));
  expect(asked).toMatchObject({ kind: 'result' });
  const told: string[] = [];
  const on = { server: 'notes', who, signal: freshSignal() };
  const onEnd = (): void => {
    isOver = true;
  };
  const stop = await reads.watch(uri, on, (changed) => told.push(changed), onEnd);
  return {
    ...{ bench, told, stop, isOver: () => isOver },
    hold: () => {
      why = 'its tools have changed';
    },
    poke: () => bench.call('notes:poke'),
    async kill() {
      const session = await bench.downstreams.all()[0]!.session(freshSignal());
      process.kill(session.pid!, 'SIGKILL');
      await session.ended;
    },
  };
}

test('the next process of the server is subscribed to, and what changed meanwhile is told', async () => {
  const { told, poke, kill, stop } = await watching();
  await poke();
  await until(() => told.length === 1);
  await kill();
  await until(() => told.length === 2);
  await poke();
  await until(() => told.length === 3);
  expect(told).toEqual([uri, uri, uri]);
  stop();
  await poke();
  expect(told).toHaveLength(3);
});

test('where the next one may not be used the watch is told to be over', async () => {
  const { told, kill, hold, isOver } = await watching();
  hold();
  await kill();
  await until(isOver);
  expect(told).toEqual([uri]);
});

test('with a connection for each call, the one that was subscribed on stays until the watch ends', async () => {
  const { bench, told, poke, stop } = await watching({ mode: 'per_call' });
  await poke();
  await until(() => told.length === 1);
  expect(bench.listed).toEqual(['notes']); // one connection for all of it
  stop();
  await until(() => bench.sandbox.live() === 0);
});
