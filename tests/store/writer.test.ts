// The flush that serves jobs in company: nobody is told before it has ended, and its failure ends all writing.
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/store/sqlite/connection.ts';
import type { Connection } from '../../src/store/sqlite/connection.ts';
import { configure } from '../../src/store/sqlite/schema.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import type { Writer } from '../../src/store/sqlite/writer.ts';
import { testDir } from './support.ts';

/** A flush that ends when the test says so. */
function heldFlush(): {
  run: () => Promise<void>;
  close: () => void;
  end: (error?: Error) => void;
  begun: number;
} {
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const flush = {
    begun: 0,
    run: () => {
      flush.begun++;
      return new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    close: () => undefined,
    end: (error?: Error) => {
      if (error === undefined) settle?.resolve();
      else settle?.reject(error);
    },
  };
  return flush;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

let db: Connection;
let flush: ReturnType<typeof heldFlush>;
let writer: Writer;

beforeEach(() => {
  const path = join(testDir(), 'writer.db');
  db = connect(path, 20);
  configure(db, path);
  db.exec('CREATE TABLE t (v INTEGER)');
  flush = heldFlush();
  writer = createWriter(db, flush, { begun: () => undefined, undone: () => undefined });
});

const insert = (value: number): Promise<number> =>
  writer.write('insert', () => {
    db.prepare('INSERT INTO t VALUES (?)').run([value]);
    return value;
  });
const rows = (): number => db.prepare('SELECT v FROM t').all([]).length;

describe('a writer', () => {
  test('flushes a job that comes alone by its own commit', async () => {
    expect(await insert(1)).toBe(1);
    expect(db.pragma('synchronous')).toBe(2);
    expect(flush.begun).toBe(0);
    expect(writer.unsettled()).toBeUndefined();
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

  test('goes back to flushing by commits once jobs come alone again', async () => {
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
    const before = flush.begun;
    await insert(99);
    expect([flush.begun, db.pragma('synchronous')]).toEqual([before, 2]);
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
