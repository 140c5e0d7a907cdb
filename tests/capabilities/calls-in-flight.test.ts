// Whose a server's request is, who waits for whom on one connection, and that nobody waits for a call that is over.
import { expect, test } from 'vitest';
import { CallsInFlight } from '../../src/capabilities/relay/calls-in-flight.ts';

interface Call {
  ended: Promise<unknown>;
  /** The call's server has answered. */
  finish(): void;
  stop(): void;
  hasBegun(): boolean;
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A call whose person answers when `answer` says so, and not at all unless given. */
function begin(
  calls: CallsInFlight,
  tool: string,
  ask: () => Promise<unknown> = () => Promise.reject(new Error('nobody may be asked')),
): Call {
  const stopper = new AbortController();
  let hasBegun = false;
  let finish = (): void => undefined;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      hasBegun = true;
      finish = resolve;
      stopper.signal.addEventListener('abort', () => reject(new Error('stopped')));
    });
  const ended = calls
    .run(tool, stopper.signal, { ask, log: () => undefined }, work)
    .then(() => 'finished')
    .catch((thrown: unknown) => thrown);
  return { ended, finish: () => finish(), stop: () => stopper.abort(), hasBegun: () => hasBegun };
}

test('a question with two calls in flight is nobody’s, and its tools then run alone', async () => {
  const calls = new CallsInFlight();
  const [first, second] = [begin(calls, 'a'), begin(calls, 'b')];
  await tick();
  expect(calls.asker()).toBeUndefined();
  first.finish();
  second.finish();
  await second.ended;
  const [again, other] = [begin(calls, 'a'), begin(calls, 'b')];
  await tick();
  expect([again.hasBegun(), other.hasBegun()]).toEqual([true, false]);
  again.finish();
  await again.ended;
  await tick();
  expect(other.hasBegun()).toBe(true);
  other.finish();
});

test('a call that ends while its person thinks leaves the connection to the others', async () => {
  const calls = new CallsInFlight();
  let answer = (_: unknown): void => undefined;
  const first = begin(calls, 'a', () => new Promise((resolve) => (answer = resolve)));
  await tick();
  const asked = calls.asker()?.ask({});
  first.stop();
  await first.ended;
  answer('too late');
  await asked;
  const [again, other] = [begin(calls, 'a'), begin(calls, 'b')];
  await tick();
  expect([again.hasBegun(), other.hasBegun()]).toEqual([true, false]);
  again.finish();
  await tick();
  expect(other.hasBegun()).toBe(true);
  other.finish();
});

test('while a person thinks others go on and are asked, and the answer is the next when it comes', async () => {
  const calls = new CallsInFlight();
  let answer = (_: unknown): void => undefined;
  const first = begin(calls, 'a', () => new Promise((resolve) => (answer = resolve)));
  await tick();
  const asked = calls.asker()?.ask({});
  const second = begin(calls, 'a', () => Promise.resolve('of the second'));
  await tick();
  expect(await calls.asker()?.ask({})).toBe('of the second');
  const third = begin(calls, 'a');
  answer('of the first');
  await tick();
  expect(third.hasBegun()).toBe(false);
  second.finish();
  expect(await asked).toBe('of the first');
  expect(third.hasBegun()).toBe(false);
  first.finish();
  await tick();
  expect(third.hasBegun()).toBe(true);
  third.finish();
});

test('a call that is ended before its turn has sent nothing, and says so', async () => {
  const calls = new CallsInFlight();
  const first = begin(calls, 'a');
  await tick();
  void calls.asker();
  const second = begin(calls, 'a');
  await tick();
  second.stop();
  expect(await second.ended).toMatchObject({ code: 'CANCELED', details: { not_sent: true } });
  expect(second.hasBegun()).toBe(false);
  first.finish();
  await first.ended;
  const third = begin(calls, 'a');
  await tick();
  expect(third.hasBegun()).toBe(true);
  third.finish();
});
