// What the pool keeps of those who came once: nothing, as soon as their connections have idled out.
import { expect, test } from 'vitest';
import { createFakeClock } from '../../src/testing/index.ts';
import { createBench, freshSignal, probe, until } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const IDLE_MS = 1000;

async function use(bench: Bench, principal: string): Promise<void> {
  const lease = bench.downstreams.lease('probe', { tenant: 't', principal });
  await lease?.connection.session(freshSignal());
  lease?.end();
}

test('a connection that idled out is forgotten with its child, one in use is not', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe()], process.env, clock, {}, { idleMs: IDLE_MS });
  try {
    await Promise.all(['ann', 'ben'].map((principal) => use(bench, principal)));
    const kept = bench.downstreams.lease('probe', { tenant: 't', principal: 'cid' });
    await kept?.connection.session(freshSignal());
    expect(bench.downstreams.all()).toHaveLength(3);
    clock.advance(IDLE_MS);
    await until(() => bench.downstreams.all().length === 1);
    expect(bench.sandbox.live()).toBe(1);
    expect(bench.downstreams.all()).toEqual([kept?.connection]);
    kept?.end();
    clock.advance(IDLE_MS);
    await until(() => bench.downstreams.all().length === 0);
    await use(bench, 'ann');
    expect(bench.sandbox.live()).toBe(1);
  } finally {
    await bench.end();
  }
});

test('idle time is counted from the last use, however often it was used', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe()], process.env, clock, {}, { idleMs: IDLE_MS });
  try {
    await use(bench, 'ann');
    const [session] = bench.downstreams.all().map((one) => one.listed());
    clock.advance(IDLE_MS - 1);
    await use(bench, 'ann');
    clock.advance(1);
    const longer = bench.downstreams.lease('probe', { tenant: 't', principal: 'ann' });
    clock.advance(IDLE_MS - 1);
    expect(bench.downstreams.all().map((one) => one.listed())).toEqual([session]);
    longer?.end();
    clock.advance(IDLE_MS - 1);
    expect(bench.downstreams.all().map((one) => one.isOpen())).toEqual([true]);
    clock.advance(1);
    await until(() => bench.downstreams.all().length === 0);
    expect(bench.sandbox.live()).toBe(0);
  } finally {
    await bench.end();
  }
});

test('a connection that was told to end is forgotten with its last user', async () => {
  const bench = createBench([probe()], process.env, createFakeClock(), {}, { idleMs: IDLE_MS });
  try {
    const leases = [1, 2].map(() => bench.downstreams.lease('probe', { tenant: 't', principal: 'ann' })!);
    await leases[0]!.connection.session(freshSignal());
    leases[0]!.retire('max_wait');
    leases[0]!.end();
    expect(bench.downstreams.all()).toHaveLength(1);
    leases[1]!.end();
    await until(() => bench.downstreams.all().length === 0);
    expect(bench.sandbox.live()).toBe(0);
  } finally {
    await bench.end();
  }
});

test('who looks through a forgotten connection starts no child', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe()], process.env, clock, {}, { idleMs: IDLE_MS });
  try {
    await use(bench, 'ann');
    const looked = bench.downstreams.connection('probe');
    clock.advance(IDLE_MS);
    await until(() => bench.downstreams.all().length === 0);
    await expect(looked?.session(freshSignal())).rejects.toMatchObject({ code: 'DOWNSTREAM_UNAVAILABLE' });
    expect(bench.sandbox.live()).toBe(0);
  } finally {
    await bench.end();
  }
});

test('a server that is not to be tried again yet is remembered for that', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe({}, '--no-start')], process.env, clock, {}, { idleMs: 1 });
  const fail = async (): Promise<void> => {
    const lease = bench.downstreams.lease('probe', { tenant: 't', principal: 'ann' });
    await expect(lease?.connection.session(freshSignal())).rejects.toThrow(/cannot be used/);
    lease?.end();
  };
  try {
    await fail();
    await fail();
    clock.advance(1);
    await new Promise(setImmediate);
    await expect(
      bench.downstreams.lease('probe', { tenant: 't', principal: 'ann' })?.connection.session(freshSignal()),
    ).rejects.toThrow(/not started again/);
  } finally {
    await bench.end();
  }
});

test('a connection that was looked at first, and is being ended to make room, is not closed under who takes it over', async () => {
  const two = [probe(), { ...probe(), name: 'other' }];
  const bench = createBench(two, process.env, undefined, {}, { maxOpen: 1 });
  const who = { tenant: 't', principal: 'ann' };
  try {
    await bench.downstreams.connection('probe')!.session(freshSignal());
    bench.downstreams.lease('other', who)!.end();
    const lease = bench.downstreams.lease('probe', who)!;
    await expect(lease.connection.session(freshSignal())).resolves.toMatchObject({ era: 'legacy' });
    lease.end();
  } finally {
    await bench.end();
  }
});

test('a connection that is only looked through idles out like any other', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe()], process.env, clock, {}, { idleMs: IDLE_MS });
  try {
    await bench.downstreams.connection('probe')!.session(freshSignal());
    expect(bench.sandbox.live()).toBe(1);
    clock.advance(IDLE_MS);
    await until(() => bench.downstreams.all().length === 0);
    expect(bench.sandbox.live()).toBe(0);
  } finally {
    await bench.end();
  }
});

test('the timer of a look-through does not end what somebody has come to use since', async () => {
  const clock = createFakeClock();
  const bench = createBench([probe()], process.env, clock, {}, { idleMs: IDLE_MS });
  try {
    await bench.downstreams.connection('probe')!.session(freshSignal());
    const lease = bench.downstreams.lease('probe', { tenant: 't', principal: 'ann' })!;
    clock.advance(IDLE_MS);
    await new Promise(setImmediate);
    expect(lease.connection.isOpen()).toBe(true);
    lease.end();
    clock.advance(IDLE_MS);
    await until(() => bench.downstreams.all().length === 0);
  } finally {
    await bench.end();
  }
});
