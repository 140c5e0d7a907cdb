// What a lock that is held for long says to others: that its holder lives.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { holdLock } from '../../src/store/documents/file-lock.ts';
import { createFakeClock } from '../../src/testing/index.ts';

function place(): string {
  const root = mkdtempSync(join(tmpdir(), 'file-lock-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true });
  });
  return root;
}

test('a lock is held by one until it gives it back, and dated anew meanwhile', () => {
  const root = place();
  const path = join(root, 'lock');
  const clock = createFakeClock(Date.UTC(2040, 0, 1));
  const held = holdLock(path, { ids: randomIds, clock });
  expect(holdLock(path, { ids: randomIds, clock })).toBeUndefined();
  utimesSync(path, 1, 1);
  clock.advance(50_000);
  expect(statSync(path).mtimeMs).toBeGreaterThanOrEqual(statSync(root).mtimeMs); // not by our clock
  expect(holdLock(path, { ids: randomIds, clock })).toBeUndefined();
  held!.release();
  expect(readdirSync(root)).toEqual([]);
  holdLock(path, { ids: randomIds, clock })!.release();
});

test('a lock of another machine counts as long as it is dated anew, and is not given back by who lost it', () => {
  const path = join(place(), 'lock');
  const clock = createFakeClock();
  const mine = holdLock(path, { ids: randomIds, clock })!;
  const foreign = { ...(JSON.parse(readFileSync(path, 'utf8')) as object), host: 'elsewhere', token: 'ab' };
  writeFileSync(path, JSON.stringify(foreign));
  expect(holdLock(path, { ids: randomIds, clock })).toBeUndefined();
  utimesSync(path, 1, 1);
  clock.advance(50_000);
  expect(statSync(path).mtimeMs).toBe(1000);
  mine.release();
  expect(readFileSync(path, 'utf8')).toContain('elsewhere');
});
