import { describe, expect, test } from 'vitest';
import { relayProgress } from '../../src/server/progress.ts';
import type { ProgressParams } from '../../src/server/progress.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { CLIENT_KINDS } from './clients.ts';
import { TURN } from './fake-runtime.ts';
import { connect } from './harness.ts';

function relay() {
  const clock = createFakeClock();
  const sent: (ProgressParams & { at: number })[] = [];
  const made = relayProgress(
    't',
    async (params) => {
      sent.push({ ...params, at: clock.monotonic() });
    },
    clock,
  );
  return { clock, sent, relay: made };
}

test('at most ten in any second, the latest wins, values only grow', async () => {
  const { clock, sent, relay: made } = relay();
  for (let at = 1; at <= 3000; at++) {
    made.progress({ progress: at, total: 3000, message: `step ${at}` });
    clock.advance(1);
  }
  made.progress({ progress: 3001, total: 3001 });
  await made.end();
  for (const { at } of sent) {
    expect(sent.filter((other) => other.at >= at && other.at < at + 1000).length).toBeLessThanOrEqual(10);
  }
  expect(sent.length).toBeGreaterThan(20);
  expect(sent.at(-1)).toMatchObject({ progress: 3001, total: 3001 });
  const values = sent.map(({ progress }) => progress);
  expect(values.every((value, at) => at === 0 || value > values[at - 1]!)).toBe(true);
});

test('a few steps that come at once are all told', async () => {
  const { clock, sent, relay: made } = relay();
  for (const progress of [0, 50, 100]) {
    made.progress({ progress, total: 100 });
    clock.advance(50);
  }
  await made.end();
  expect(sent.map(({ progress, at }) => [progress, at])).toEqual([
    [0, sent[0]?.at],
    [50, sent[0]!.at + 50],
    [100, sent[0]!.at + 100],
  ]);
});

test('a step back and a heartbeat still grow, and a total that is behind is left out', async () => {
  const { clock, sent, relay: made } = relay();
  made.progress({ progress: 5, total: 5 });
  clock.advance(1000);
  made.beat();
  clock.advance(1000);
  made.progress({ progress: 2, total: 5 });
  await made.end();
  expect(sent.map(({ progress }) => progress)).toEqual([5, 5 + 1 / 1024, 5 + 2 / 1024]);
  expect(sent.map(({ total }) => total)).toEqual([5, undefined, undefined]);
  expect(sent[1]?.message).toBe('waiting for an answer');
});

test('after the end nothing is sent and no timer is left', async () => {
  const { clock, sent, relay: made } = relay();
  made.progress({ progress: 1 });
  made.progress({ progress: 2 });
  await made.end();
  made.progress({ progress: 3 });
  made.beat();
  clock.advance(10_000);
  expect(sent.map(({ progress }) => progress)).toEqual([1, 2]);
  expect(clock.pending).toBe(0);
});

test('a client that is gone is no fault of the call', async () => {
  const made = relayProgress('t', () => Promise.reject(new TypeError('closed')), createFakeClock());
  made.progress({ progress: 1 });
  await made.end();
});

describe.each(CLIENT_KINDS)('%s', (kind) => {
  test('progress of a capability arrives before its answer; without a token nothing is sent', async () => {
    const { client, runtime, clock } = await connect(kind);
    runtime.during = async (io) => {
      for (let at = 1; at <= 3; at++) {
        io.progress?.({ progress: at, total: 3, message: `part ${at}` });
        clock.advance(200);
      }
    };
    const heard: Record<string, unknown>[] = [];
    await client.call('files:read', {}, { onprogress: (progress) => heard.push(progress) });
    expect(heard).toMatchObject([1, 2, 3].map((at) => ({ progress: at, total: 3, message: `part ${at}` })));
    await client.call('files:read', {});
    expect(heard).toHaveLength(3);
  });

  verifies(
    ['TC-11'],
    'snapshots of a turn arrive live, numbered, none lost, the final one before the answer',
    async () => {
      const { client, runtime, clock } = await connect(kind);
      const live: number[] = [];
      const heard: { sequence: number; state: string; data: object }[] = [];
      runtime.during = async (io) => {
        for (let sequence = 1; sequence <= 40; sequence++) {
          io.snapshot?.({ sequence, state: 'partial', data: { delta: `${sequence} ` } });
          clock.advance(10);
          await new Promise((resolve) => setImmediate(resolve));
        }
        live.push(heard.length);
        io.snapshot?.({ sequence: 41, state: 'final', data: { ...TURN } as never });
      };
      let notifications = 0;
      const answer = await client.call(
        'agent:execute-turn',
        { messages: [{ role: 'user', content: 'hi' }], stream: true },
        {
          onprogress: (progress) => {
            notifications += 1;
            const meta = progress._meta as { 'agent-runtime/snapshots': typeof heard };
            heard.push(...meta['agent-runtime/snapshots']);
          },
        },
      );
      expect(heard.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
      expect(live[0]).toBeGreaterThan(10);
      expect(notifications).toBeLessThanOrEqual(10);
      expect(heard.at(-1)).toMatchObject({ state: 'final', data: answer.structuredContent });
    },
  );
});
