// What one connection is told about while whether it may be is still being looked at.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Connection } from '../../src/server/connection.ts';
import { Subscribed } from '../../src/server/subscribed.ts';
import type { Updates } from '../../src/server/updates.ts';

interface Look {
  may(): void;
  mayNot(): void;
}

function subscribing(): {
  subscribed: Subscribed;
  looks: Look[];
  watched: () => number;
  taken: () => number;
} {
  const looks: Look[] = [];
  let watched = 0;
  let taken = 0;
  const updates = {
    watch: () =>
      new Promise<() => void>((resolve, reject) => {
        looks.push({
          may() {
            watched += 1;
            resolve(() => (watched -= 1));
          },
          mayNot: () => reject(new RuntimeError('NOT_FOUND')),
        });
      }),
  } as unknown as Updates;
  const places = {
    enter() {
      let isIn = true;
      taken += 1;
      return () => {
        if (isIn) taken -= 1;
        isIn = false;
      };
    },
  };
  const connection = { reads: { offered: { updates: false } } } as unknown as Connection;
  const subscribed = new Subscribed({ connection, places, updates }, () => undefined);
  return { subscribed, looks, watched: () => watched, taken: () => taken };
}

const URI = 'agent://runs/foreign';

test('what may not be read is refused to everybody who asked while it was looked at', async () => {
  const { subscribed, looks, taken } = subscribing();
  const outcomes = Promise.allSettled([subscribed.add(URI), subscribed.add(URI), subscribed.sure(URI)]);
  looks[0]?.mayNot();
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(taken()).toBe(0);
});

test('a look that fails late takes nothing from who asked after it was given up', async () => {
  const { subscribed, looks, watched, taken } = subscribing();
  const first = subscribed.sure(URI);
  subscribed.remove(URI);
  const second = subscribed.sure(URI);
  looks[0]?.mayNot();
  await expect(first).rejects.toThrow();
  looks[1]?.may();
  await second;
  expect([watched(), taken()]).toEqual([1, 1]);
  subscribed.remove(URI);
  expect([watched(), taken()]).toEqual([0, 0]);
});

test('giving back one of two takes nothing from the other, whichever way they asked, and counts once', async () => {
  const { subscribed, looks, watched } = subscribing();
  const asked = subscribed.add(URI);
  const sure = subscribed.sure(URI);
  looks[0]?.may();
  const leave = await asked;
  await sure;
  leave();
  leave();
  expect(watched()).toBe(1);
  subscribed.remove(URI);
  expect(watched()).toBe(0);
});

test('nothing is held once it is closed', async () => {
  const { subscribed, looks, taken } = subscribing();
  subscribed.close();
  const outcomes = await Promise.allSettled([subscribed.add(URI), subscribed.sure(URI)]);
  expect(outcomes).toMatchObject([
    { reason: { code: 'SESSION_CLOSED' } },
    { reason: { code: 'SESSION_CLOSED' } },
  ]);
  expect([looks.length, taken()]).toEqual([0, 0]);
});
