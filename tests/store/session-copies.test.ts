// Readable copies as files: whole, for their owner alone, and nothing of them is left behind.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { sessionCopyFiles } from '../../src/store/documents/session-copies.ts';
import { testDir } from './support.ts';

const copy = (status: string): JsonObject => ({
  ...{ schema_version: 1, note: 'n', session_id: 'a', run_id: 'r', status, execute_turn_input: {} },
  ...{ created_at: '2026-11-22T00:00:00.000Z', updated_at: '2026-11-22T00:00:00.000Z' },
  ...{ messages: [], history: [], turn_count: 0, tool_call_count: 0, continuations: [] },
  left_out: { messages: 0, history: 0, continuations: 0 },
});

// No process has this number: the system gives none beyond four million.
const GONE = 99_999_999;

test('a copy takes the place of the one before, and lies alone', async () => {
  const directory = join(testDir(), 'workflow');
  const copies = sessionCopyFiles(directory);
  await copies.write('a', copy('active'));
  await copies.write('a', copy('completed'));
  expect(readdirSync(directory)).toEqual(['a.json']);
  expect(JSON.parse(readFileSync(copies.pathOf('a'), 'utf8'))).toMatchObject({ status: 'completed' });
  expect(statSync(copies.pathOf('a')).mode & 0o777).toBe(0o600);
});

test('what a process left behind in the middle of a copy goes with the next copy, and with a removal', async () => {
  const directory = testDir();
  const draft = join(directory, `.draft-${GONE}`);
  const alive = `.draft-${process.ppid}`;
  writeFileSync(join(directory, alive), 'of a process that lives');
  writeFileSync(draft, 'what was said');
  await sessionCopyFiles(directory).write('a', copy('active'));
  expect(readdirSync(directory).toSorted()).toEqual([alive, 'a.json']);
  writeFileSync(draft, 'what was said');
  await sessionCopyFiles(directory).remove('a');
  expect(readdirSync(directory)).toEqual([alive]);
});

test('a copy that cannot take its place says so and leaves nothing', async () => {
  const directory = testDir();
  const copies = sessionCopyFiles(directory);
  mkdirSync(join(copies.pathOf('a'), 'in the way'), { recursive: true });
  await expect(copies.write('a', copy('active'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(readdirSync(directory)).toEqual(['a.json']);
  await expect(copies.write('a', { ...copy('active'), more: 1 })).rejects.toMatchObject({
    code: 'INVALID_OUTPUT',
  });
});
