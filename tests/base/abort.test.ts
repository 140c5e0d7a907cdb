// Owns the proof of what ends once and of deadlines: when their signal ends and why, whoever asks for it and whenever.
import { expect, test } from 'vitest';
import { Endable, startDeadline, whenEnded } from '../../src/base/abort.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';

test('a signal that is asked for only after the time has passed has ended, for that reason', () => {
  const clock = createFakeClock();
  const deadline = startDeadline(clock, 100);
  clock.advance(100);
  expect(deadline.timedOut()).toBe(true);
  expect(deadline.signal.aborted).toBe(true);
  expect((deadline.signal.reason as DOMException).name).toBe('TimeoutError');
  expect(deadline.signal).toBe(deadline.signal);
  deadline.done();
});

test("the parent's reason is the signal's, whether it ended before the deadline began, before the asking, or after", () => {
  const reason = new Error('not wanted any more');
  const clock = createFakeClock();
  expect(startDeadline(clock, 100, AbortSignal.abort(reason)).signal.reason).toBe(reason);

  const parent = new AbortController();
  const [early, late] = [startDeadline(clock, 100, parent.signal), startDeadline(clock, 100, parent.signal)];
  const { signal } = early;
  parent.abort(reason);
  expect([signal.reason, late.signal.reason]).toEqual([reason, reason]);
  expect([early.timedOut(), late.timedOut()]).toEqual([false, false]);
});

test('who is told of the end is told once, before those who listen, and not at all when the work was over', () => {
  const clock = createFakeClock();
  const parent = new AbortController();
  const heard: string[] = [];
  const deadline = startDeadline(clock, 100, parent.signal, () => heard.push('told'));
  deadline.signal.addEventListener('abort', () => heard.push('listener'));
  const over = startDeadline(clock, 100, parent.signal, () => heard.push('too late'));
  over.done();
  clock.advance(100);
  parent.abort();
  expect(heard).toEqual(['told', 'listener']);
  expect((deadline.signal.reason as DOMException).name).toBe('TimeoutError');
  expect(over.signal.aborted).toBe(false);
});

test('a deadline within a deadline ends with it and for its reason, also one begun after its end, unless the work was over', () => {
  const clock = createFakeClock();
  const parent = new AbortController();
  const outer = startDeadline(clock, 100, parent.signal);
  const [inner, quiet, over] = [50, 500, 500].map((ms) => startDeadline(clock, ms, outer));
  over!.done();
  clock.advance(50);
  const reason = new Error('not wanted any more');
  parent.abort(reason);
  expect([inner!.timedOut(), quiet!.timedOut(), over!.timedOut()]).toEqual([true, false, false]);
  expect((inner!.signal.reason as DOMException).name).toBe('TimeoutError');
  expect(quiet!.signal.reason).toBe(reason);
  expect(over!.signal.aborted).toBe(false);
  expect(startDeadline(clock, 100, outer).signal.reason).toBe(reason);
});

test('what is ended twice has ended once, for the first reason, and who left before hears nothing', () => {
  const ending = new Endable();
  const heard: unknown[] = [];
  const leave = whenEnded(ending, () => heard.push('left before'));
  whenEnded(ending, (reason) => heard.push(reason));
  whenEnded(ending.signal, (reason) => heard.push(reason));
  leave();
  expect([ending.aborted, ending.reason, ending.signal.aborted]).toEqual([false, undefined, false]);
  const reason = new Error('not wanted any more');
  ending.end(reason);
  ending.end(new Error('too late'));
  whenEnded(ending, (late) => heard.push(late));
  expect(heard).toEqual([reason, reason, reason]);
  expect([ending.aborted, ending.reason, ending.signal.reason]).toEqual([true, reason, reason]);
});

test('what its parent has ended before is not late afterwards, though nobody has let go of it', () => {
  const clock = createFakeClock();
  const parent = new AbortController();
  const deadline = startDeadline(clock, 100, parent.signal);
  clock.advance(90);
  parent.abort();
  clock.advance(20);
  expect([deadline.aborted, deadline.timedOut()]).toEqual([true, false]);
});
