// When a job is run: at once where it comes alone, with the others of its turn of the event loop where it has company.
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { Series } from '../../src/base/series.ts';
import type { Connection } from '../../src/store/sqlite/connection.ts';
import { connect } from '../../src/store/sqlite/connection.ts';
import { configure } from '../../src/store/sqlite/schema.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import type { How, Writer } from '../../src/store/sqlite/writer.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { heldFlush, turn, watch } from './held-flush.ts';
import { testDir } from './support.ts';

let db: Connection;
let flush: ReturnType<typeof heldFlush>;
let writer: Writer;
let series: Series;

beforeEach(() => {
  const path = join(testDir(), 'writer.db');
  db = connect(path, 20);
  configure(db, path);
  db.exec('CREATE TABLE t (v INTEGER)');
  flush = heldFlush();
  const listener = { begun: () => undefined, ending: () => undefined, undone: () => undefined };
  writer = createWriter({ db, flush, listener, clock: createFakeClock() });
  series = new Series();
});

const insert = (value: number, how: How = {}): Promise<unknown> =>
  writer.write('insert', () => db.prepare('INSERT INTO t VALUES (?)').run([value]), how);
const rows = (): number => db.prepare('SELECT v FROM t').all([]).length;
/** What is run at once has been by then. */
const soon = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

describe('a job', () => {
  test('that comes alone is run before the event loop goes on', async () => {
    const hasGoneOn = watch(turn());
    await insert(1);
    expect([hasGoneOn.how(), rows(), flush.atOnce]).toEqual(['open', 1, 1]);
  });

  test('that follows in the same turn waits for the others of that turn, and is flushed with them', async () => {
    await insert(1);
    const second = watch(insert(2));
    await soon();
    const third = watch(insert(3));
    expect([rows(), second.how()]).toEqual([1, 'open']);
    await turn();
    expect([rows(), flush.begun, flush.atOnce]).toEqual([3, 1, 1]);
    flush.end();
    await turn();
    expect([second.how(), third.how()]).toEqual(['kept', 'kept']);
  });
});

test('whoever writes without end lets the event loop go on, also where nothing is flushed', async () => {
  let hasGoneOn = false;
  setImmediate(() => (hasGoneOn = true));
  for (let value = 1; value <= 8; value++) await insert(value, { flush: 'behind' });
  expect([hasGoneOn, rows()]).toEqual([false, 8]);
  await insert(9, { flush: 'behind' });
  expect(hasGoneOn).toBe(true);
});

describe('a series', () => {
  test('of another caller waits for the turn to end in which one was flushed', async () => {
    await insert(1, { flush: 'with_next', series });
    await insert(2, { after: series });
    const other = new Series();
    const stranger = watch(insert(3, { flush: 'with_next', series: other }));
    await soon();
    expect([rows(), stranger.how()]).toEqual([2, 'open']);
    await turn();
    expect([rows(), stranger.how()]).toEqual([3, 'kept']);
  });

  test('goes on at once, and after eight times lets the event loop go on first', async () => {
    let hasGoneOn = false;
    setImmediate(() => (hasGoneOn = true));
    for (let value = 1; value <= 8; value++) {
      await insert(value, { flush: 'with_next', series });
      await insert(value, { after: series });
    }
    expect([hasGoneOn, rows(), flush.atOnce]).toEqual([false, 16, 8]);
    await insert(9, { flush: 'with_next', series });
    expect([hasGoneOn, rows()]).toEqual([true, 17]);
  });

  test('that finds the steps of another one uncommitted is in company with it', async () => {
    await insert(1, { flush: 'with_next', series });
    await insert(2, { flush: 'with_next', series: new Series() });
    const job = watch(insert(3, { after: series }));
    await turn();
    expect([flush.begun, flush.atOnce, job.how()]).toEqual([1, 0, 'open']);
    flush.end();
    await turn();
    expect(job.how()).toBe('kept');
  });
});
