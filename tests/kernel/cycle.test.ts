// Owns the proof of the cycle rule's window: how long a count holds, that a loop cannot hide across an edge, what it costs.
import { describe, expect, test } from 'vitest';
import { createRig, OK, SESSION, sessionOf } from './rig.ts';
import type { Rig } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

async function look(rig: Rig): Promise<string> {
  return (await rig.call('look', { q: 1 })).status;
}

describe('the cycle rule', () => {
  test('forgets after its window, and not before', async () => {
    const rig = createRig();
    rig.clock.advance(123_456); // the window is the call's own, not the session's or the clock's
    for (let n = 0; n < 3; n++) expect(await look(rig)).toBe('done');
    rig.clock.advance(599_999);
    expect(await look(rig)).toBe('denied');
    rig.clock.advance(1001);
    for (let n = 0; n < 3; n++) expect(await look(rig)).toBe('done');
    expect(await look(rig)).toBe('denied');
    expect(rig.effects).toHaveLength(6);
  });

  test('is not escaped at an edge of the clock or of the session', async () => {
    const rig = createRig();
    rig.clock.advance(595_000);
    const seen: string[] = [];
    for (let n = 0; n < 6; n++) {
      seen.push(await look(rig));
      rig.clock.advance(2000);
    }
    expect(seen).toEqual(['done', 'done', 'done', 'denied', 'denied', 'denied']);
  });

  test('is not loosened by a clock that is set back', async () => {
    const rig = createRig();
    for (let n = 0; n < 3; n++) await look(rig);
    rig.clock.setWall(Date.UTC(2020, 0, 1));
    expect(await look(rig)).toBe('denied');
  });

  test('holds for calls at once, also as a new window opens', async () => {
    const rig = createRig();
    const other = createRig({ store: rig.store, clock: rig.clock, idSeed: 'other', instance: 'inst_o' });
    for (const expected of [3, 6]) {
      const calls = Array.from({ length: 20 }, (_, n) => look(n % 2 === 0 ? rig : other));
      const seen = await Promise.all(calls);
      expect(seen.filter((status) => status === 'done')).toHaveLength(3);
      expect(rig.effects.length + other.effects.length).toBe(expected);
      rig.clock.advance(601_000);
    }
  });

  test('costs one counter a call, however often and long it goes on', async () => {
    const keys = new Set<string>();
    let most = 0;
    const rig = createRig({
      config: sampleConfig({ policy: { cycle: { maxRepeats: 1000, windowSeconds: 60 } } }),
      wrapStore: (store) => ({
        ...store,
        commit: (commit) => {
          const counted = (commit.counters ?? []).filter(({ key }) => key.includes('|rep|'));
          for (const { key } of counted) keys.add(key);
          most = Math.max(most, counted.length);
          return store.commit(commit);
        },
      }),
    });
    for (let n = 0; n < 40; n++) {
      expect(await look(rig)).toBe('done');
      rig.clock.advance(7000);
    }
    expect([keys.size, most]).toEqual([1, 1]);
  });

  test('says how often the call ran and how often it may', async () => {
    const rig = createRig();
    const calls = Array.from({ length: 8 }, () => rig.call('look', {}));
    const denied = (await Promise.all(calls)).filter((one) => one.status === 'denied');
    expect(denied).toHaveLength(5);
    for (const { decision } of denied) {
      expect(decision.attributes).toMatchObject({ 'policy.repeats': 3, 'policy.max_repeats': 3 });
    }
    expect((await rig.records(SESSION)).length).toBe(11);
  });
});

describe('the cycle rule in a session of calls that name none', () => {
  /** The tool answers with each of these letters in turn; what each call came to. */
  async function poll(rig: Rig, texts: string): Promise<string> {
    const session = sessionOf(rig.clock, { countsResults: true });
    let seen = '';
    for (const text of texts) {
      rig.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text }] });
      const { status } = await rig.call('look', { q: 1 }, { session });
      seen += status === 'done' ? text : '-';
      rig.clock.advance(1000);
    }
    return seen;
  }

  test('counts a call that returned the same as the one before, and begins anew with another result', async () => {
    expect(await poll(createRig(), 'abcdefgh')).toBe('abcdefgh');
    expect(await poll(createRig(), 'aaaa')).toBe('aaa-');
    expect(await poll(createRig(), 'abbbb')).toBe('abbb-');
    expect(await poll(createRig(), 'aabbbb')).toBe('aabbb-');
    expect(await poll(createRig(), 'ababab')).toBe('ababab');
  });

  test('counts from the last change on, for as long as its window', async () => {
    const rig = createRig();
    expect(await poll(rig, 'aa')).toBe('aa');
    rig.clock.advance(590_000);
    expect(await poll(rig, 'bbbb')).toBe('bbb-'); // the window is that of the first b
    rig.clock.advance(590_000);
    expect(await poll(rig, 'b')).toBe('-');
    rig.clock.advance(10_000);
    expect(await poll(rig, 'b')).toBe('b');
  });

  test('counts what has not returned yet as the same, and stays whole when equal calls return at once', async () => {
    const rig = createRig();
    const session = sessionOf(rig.clock, { countsResults: true });
    expect(await poll(rig, 'a')).toBe('a');
    let n = 0;
    rig.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text: `other ${n++}` }] });
    const calls = Array.from({ length: 20 }, () => rig.call('look', { q: 1 }, { session }));
    const seen = (await Promise.all(calls)).map(({ status }) => status);
    expect(seen.filter((status) => status === 'done')).toHaveLength(2);
    rig.clock.advance(601_000);
    expect(await poll(rig, 'xxxx')).toBe('xxx-');
  });

  test('is the plain one in every other session', async () => {
    const rig = createRig();
    let n = 0;
    rig.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text: `other ${n++}` }] });
    const seen: string[] = [];
    for (let calls = 0; calls < 4; calls++) seen.push(await look(rig));
    expect(seen).toEqual(['done', 'done', 'done', 'denied']);
  });
});
