// The flush: at once for a job that comes alone, one for jobs in company, behind for those that asked for that; nobody else
// is told before it has ended, and its failure ends all writing.
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/store/sqlite/connection.ts';
import type { Connection } from '../../src/store/sqlite/connection.ts';
import { configure } from '../../src/store/sqlite/schema.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import { Series, Unflushed } from '../../src/base/series.ts';
import type { CommitFlush } from '../../src/store/contract.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import type { Writer } from '../../src/store/sqlite/writer.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { heldFlush, turn, watch } from './held-flush.ts';
import { testDir } from './support.ts';

let db: Connection;
let other: Connection; // what everybody else sees
let flush: ReturnType<typeof heldFlush>;
let writer: Writer;
let clock: FakeClock;

beforeEach(() => {
  const path = join(testDir(), 'writer.db');
  db = connect(path, 20);
  other = connect(path, 20);
  configure(db, path);
  db.exec('CREATE TABLE t (v INTEGER)');
  flush = heldFlush();
  clock = createFakeClock();
  const listener = { begun: () => undefined, ending: () => undefined, undone: () => undefined };
  writer = createWriter({ db, flush, listener, clock });
});

const insert = (value: number, flushed?: CommitFlush, of: Of = {}): Promise<number> =>
  writer.write(
    'insert',
    () => {
      db.prepare('INSERT INTO t VALUES (?)').run([value]);
      return value;
    },
    { flush: flushed, ...of },
  );
interface Of {
  series?: Series;
  after?: Series;
}
const rows = (): number => db.prepare('SELECT v FROM t').all([]).length;
const seen = (): unknown[] => (other.prepare('SELECT v FROM t').all([]) as { v: number }[]).map(({ v }) => v);

/** A job that cannot be done, and is no refusal. */
const damaged = (): Promise<unknown> =>
  writer.write('insert', () => db.prepare('INSERT INTO t SELECT').run([]));

describe('a writer', () => {
  test('flushes a job that comes alone at once', async () => {
    expect(await insert(1)).toBe(1);
    expect([flush.begun, flush.atOnce]).toEqual([0, 1]);
    expect(writer.unsettled()).toBeUndefined();
  });

  test('tells a job that is flushed behind at once, and readers of it only after its flush', async () => {
    const told: string[] = [];
    expect(await insert(1, 'behind')).toBe(1);
    expect([rows(), flush.begun, flush.atOnce]).toEqual([1, 0, 0]);
    const reader = writer.unsettled()?.then(() => told.push('reader'));
    await turn();
    expect([flush.begun, told]).toEqual([1, []]);
    // One that is waited for is flushed at once meanwhile: it is no company.
    expect(await insert(2)).toBe(2);
    expect([flush.atOnce, told]).toEqual([1, []]);
    flush.end();
    await reader;
    expect(writer.unsettled()).toBeUndefined();
  });

  test('flushes a job behind by itself a moment later', async () => {
    await insert(1, 'behind');
    clock.advance(10);
    expect(flush.begun).toBe(1);
    flush.end();
    await turn();
    expect(writer.unsettled()).toBeUndefined();
  });

  test('flushes a job behind with the next one that is waited for', async () => {
    await insert(1, 'behind');
    await insert(2);
    expect([flush.begun, flush.atOnce]).toEqual([0, 1]);
    expect(writer.unsettled()).toBeUndefined();
    clock.advance(10);
    expect(flush.begun).toBe(0);
  });

  test('flushes a job behind together with those that are waited for', async () => {
    const told: string[] = [];
    const both = [insert(1, 'behind'), insert(2)].map((job) =>
      job.then((value) => told.push(`job ${value}`)),
    );
    await turn();
    expect([flush.begun, told]).toEqual([1, []]);
    flush.end();
    await Promise.all(both);
  });

  test('writes nothing more after a flush at once or behind that failed', async () => {
    await insert(1, 'behind');
    clock.advance(10);
    flush.end(Object.assign(new Error('no'), { code: 'EIO' }));
    await turn();
    await expect(insert(2)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(rows()).toBe(1);
  });

  test('refuses a job whose flush at once failed, and all after it', async () => {
    flush.fails = true;
    await expect(insert(1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    flush.fails = false;
    await expect(insert(2)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('tells jobs that came together, and readers of them, only after one flush', async () => {
    const told: string[] = [];
    const both = [insert(1), insert(2)].map((job) => job.then((value) => told.push(`job ${value}`)));
    await turn();
    expect([rows(), flush.begun, told]).toEqual([2, 1, []]);
    const reader = writer.unsettled()?.then(() => told.push('reader'));
    const later = insert(3).then(() => told.push('job 3'));
    await turn();
    expect([rows(), flush.begun, told]).toEqual([3, 1, []]);
    flush.end();
    await Promise.all([...both, reader]);
    expect(told.toSorted()).toEqual(['job 1', 'job 2', 'reader']);
    expect(flush.begun).toBe(2);
    flush.end();
    await later;
    expect(writer.unsettled()).toBeUndefined();
  });

  test('flushes what waited for another process before anybody can read it', async () => {
    other.exec('BEGIN IMMEDIATE');
    let first: unknown;
    const job = writer.write('insert', () => {
      db.prepare('INSERT INTO t VALUES (1)').run([]);
      queueMicrotask(() => (first = [seen(), flush.atOnce]));
    });
    await turn();
    other.exec('COMMIT');
    await job;
    expect(first).toEqual([[1], 1]);
  });

  test('goes back to flushing at once when jobs come alone again', async () => {
    const both = Promise.all([insert(1), insert(2)]);
    await turn();
    flush.end();
    await both;
    for (let at = 0; at < 40; at++) {
      const job = insert(at);
      await turn();
      flush.end();
      await job;
    }
    const before = [flush.begun, flush.atOnce] as const;
    await insert(99);
    expect([flush.begun, flush.atOnce]).toEqual([before[0], before[1] + 1]);
  });

  test('writes nothing more after a flush that failed', async () => {
    const both = Promise.allSettled([insert(1), insert(2)]);
    await turn();
    flush.end(Object.assign(new Error('no'), { code: 'EIO' }));
    const reasons = (await both).map((one) =>
      one.status === 'rejected' ? (one.reason as unknown) : undefined,
    );
    expect(reasons).toEqual([
      expect.objectContaining({ code: 'STORE_UNAVAILABLE' }),
      expect.objectContaining({ code: 'STORE_UNAVAILABLE' }),
    ]);
    await expect(insert(3)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(rows()).toBe(2);
  });
});

describe('a flush that failed', () => {
  const harm = (): Error => Object.assign(new Error('no'), { code: 'EIO' });

  test('is not made good by one after it: what had committed meanwhile is refused too', async () => {
    const both = [insert(1), insert(2)].map(watch);
    await turn();
    const later = watch(insert(3));
    await turn();
    flush.end(harm());
    await turn();
    flush.end(); // a system tells of a failure once
    await turn();
    expect([...both, later].map((one) => one.how())).toEqual(Array(3).fill('STORE_UNAVAILABLE'));
    expect(flush.begun).toBe(1);
  });

  test('is told to the readers that waited for it, and a close goes on', async () => {
    await insert(1, 'behind');
    const reader = watch(writer.unsettled()!);
    flush.end(harm());
    await turn();
    expect(reader.how()).toBe('STORE_UNAVAILABLE');
    await writer.close();
  });

  test('loses what a series reads afterwards', async () => {
    flush.fails = true;
    await insert(1).catch(() => undefined);
    const series = new Series();
    series.tell(writer.unflushed()!);
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

describe('a job committed with the next', () => {
  test('is told before, and commits with what follows at once', async () => {
    const first = await insert(1, 'with_next');
    expect([first, seen(), flush.atOnce]).toEqual([1, [], 0]);
    await insert(2);
    expect([seen(), flush.begun, flush.atOnce]).toEqual([[1, 2], 0, 1]);
  });

  test('commits by the next turn of the event loop where nothing follows, and is flushed behind', async () => {
    await insert(1, 'with_next');
    await turn();
    expect([seen(), flush.begun, flush.atOnce]).toEqual([[1], 0, 0]);
    clock.advance(10);
    expect(flush.begun).toBe(1);
    flush.end();
    await turn();
    expect(writer.unsettled()).toBeUndefined();
  });

  test('waits for eight more like it at most', async () => {
    for (let n = 1; n <= 8; n++) {
      await insert(n, 'with_next');
      expect(seen()).toEqual([]);
    }
    await insert(9, 'with_next');
    expect(seen()).toEqual([]);
    await insert(10, 'with_next');
    expect(seen()).toHaveLength(10);
  });

  test('is committed and flushed for whoever reads it', async () => {
    await insert(1, 'with_next');
    const reader = writer.unsettled();
    expect([seen(), flush.begun]).toEqual([[1], 1]);
    flush.end();
    await reader;
    expect(writer.unsettled()).toBeUndefined();
  });

  test('stays when what follows it is undone', async () => {
    await insert(1, 'with_next');
    await expect(damaged()).rejects.toBeDefined();
    expect(seen()).toEqual([1]);
    await insert(2);
    expect(seen()).toEqual([1, 2]);
  });

  test('is not made after all where it was refused, when what follows it is undone', async () => {
    const lost = new Unflushed();
    lost.lose(new RuntimeError('STORE_UNAVAILABLE'));
    const series = new Series();
    series.tell(lost);
    await insert(1, 'with_next');
    await expect(insert(2, 'with_next', { after: series })).rejects.toBeDefined();
    let isTaken = true;
    const conflict = (): unknown => (isTaken ? { ok: false } : db.exec('INSERT INTO t VALUES (3)'));
    expect(await writer.write('insert', conflict, { flush: 'with_next' })).toEqual({ ok: false });
    isTaken = false; // what it was refused for is undone too, or was taken back by another process
    await expect(damaged()).rejects.toBeDefined();
    expect(seen()).toEqual([1]);
  });

  test('is undone, also for its readers, when a flush before it fails', async () => {
    await insert(1, 'behind');
    clock.advance(10);
    await insert(2, 'with_next');
    flush.end(Object.assign(new Error('no'), { code: 'EIO' }));
    for (let step = 0; step < 4; step++) await Promise.resolve(); // not a turn: it is still open
    expect(() => writer.unsettled()).toThrow(expect.objectContaining({ code: 'STORE_UNAVAILABLE' }));
    await turn();
    expect(seen()).toEqual([1]);
    await expect(insert(3)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('is there after a close', async () => {
    await insert(1, 'with_next');
    const closed = writer.close();
    await turn();
    flush.end();
    await closed;
    expect(seen()).toEqual([1]);
  });
});

describe('a series', () => {
  let series: Series;
  beforeEach(() => {
    series = new Series();
  });

  test('is settled once what it was told is on disk, with what follows', async () => {
    await insert(1, 'with_next', { series });
    await insert(2);
    await series.settled();
    expect([seen(), flush.begun, flush.atOnce]).toEqual([[1, 2], 0, 1]);
  });

  test('that is waited for has it flushed at once', async () => {
    await insert(1, 'with_next', { series });
    await series.settled();
    expect([seen(), flush.begun, flush.atOnce]).toEqual([[1], 0, 1]);
    await turn();
    expect([flush.begun, flush.atOnce, writer.unsettled()]).toEqual([0, 1, undefined]);
  });

  test('that is waited for among others is flushed with them', async () => {
    const both = Promise.all([insert(1), insert(2)]);
    await turn();
    await insert(3, 'with_next', { series });
    const settled = watch(series.settled());
    flush.end();
    await both;
    await turn();
    expect([settled.how(), seen(), flush.begun, flush.atOnce]).toEqual(['open', [1, 2, 3], 2, 0]);
    flush.end();
    await turn();
    expect(settled.how()).toBe('kept');
  });

  test('waits for what it was told by a read, whoever wrote that', async () => {
    const both = Promise.all([insert(1), insert(2)]);
    await turn();
    expect(flush.begun).toBe(1);
    series.tell(writer.unflushed()!);
    const settled = watch(series.settled());
    await turn();
    expect(settled.how()).toBe('open');
    flush.end();
    await both;
    await turn();
    expect([settled.how(), writer.unflushed()]).toEqual(['kept', undefined]);
  });

  test('is not settled by a flush that began before', async () => {
    await insert(1, 'behind');
    clock.advance(10);
    await insert(2, 'with_next', { series });
    await turn();
    const settled = watch(series.settled());
    flush.end();
    await turn();
    expect([settled.how(), seen(), flush.begun]).toEqual(['open', [1, 2], 2]);
    flush.end();
    await turn();
    expect(settled.how()).toBe('kept');
  });

  test('is lost with its transaction; what builds on it is not written, what it said is', async () => {
    await insert(1, 'with_next', { series });
    const [harm, next, stranger] = [damaged(), insert(2, undefined, { after: series }), insert(3)];
    await expect(harm).rejects.toBeDefined();
    await expect(next).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await stranger).toBe(3);
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(insert(4, 'with_next', { after: series })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    expect(seen()).toEqual([1, 3]);
  });

  test('is lost with the flush', async () => {
    await insert(1, 'with_next', { series });
    flush.fails = true;
    await expect(insert(2)).rejects.toBeDefined();
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  test('is lost with the flush behind it', async () => {
    await insert(1, 'with_next', { series });
    await turn();
    clock.advance(10);
    flush.end(Object.assign(new Error('no'), { code: 'EIO' }));
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});
