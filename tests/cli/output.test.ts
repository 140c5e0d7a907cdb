// What becomes of a command whose output nobody reads to its end, or that has no room for it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SESSION } from '../kernel/rig.ts';
import { environment, journal, MAIN, place, run } from './harness.ts';
import type { Place } from './harness.ts';

/** The exit code of a command whose reader of standard output (and error) has gone. */
async function unread(at: Place, args: readonly string[], input?: string): Promise<unknown> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: at.workspace, env: environment(at) });
  child.stdout.destroy();
  child.stderr.destroy();
  child.stdin.on('error', () => undefined);
  if (input === undefined) child.stdin.end();
  // Never ended: only a command that stops by itself comes to its end.
  else child.stdin.write(input);
  const [code] = (await once(child, 'exit')) as unknown[];
  return code;
}

test('a check that failed fails, also when nobody reads why', async () => {
  const at = await place();
  await writeFile(join(at.workspace, 'bad.jsonl'), 'no record\n');
  expect(await unread(at, ['evidence', 'verify', '--file', 'bad.jsonl'])).toBe(1);
  await writeFile(join(at.workspace, 'good.jsonl'), '');
  expect(await unread(at, ['evidence', 'verify', '--file', 'good.jsonl'])).toBe(0);
  expect(await unread(at, ['no-such-command'])).toBe(2);
});

test('a history that is cut says so, and where all of it is', async () => {
  const at = await place();
  const { store } = await journal(at);
  const chain = { tenant: 'local', aggregate: 'session', id: SESSION } as const;
  const show = ['sessions', 'show', SESSION];
  expect((await run(at, show)).err).toBe('');
  await store.commit({
    appends: Array.from({ length: 500 }, () => ({
      ...{ chain, when: { epoch: 0 }, type: 'noted', at: 1, evidence: {} },
    })),
  });
  const { code, err } = await run(at, show);
  expect(code).toBe(0);
  expect(err).toContain(
    `Only the newest of timeline are listed; all of it: agent-runtime evidence export --session ${SESSION} --out <dir>`,
  );
  await store.close();
});

test('deciding calls ends when nobody reads the decisions', async () => {
  const at = await place();
  const line = `${JSON.stringify({ id: 'c', tool: 'desk:search_docs', arguments: { query: 'x' } })}\n`;
  expect(await unread(at, ['policy', 'decide', '--calls', '-', '--json'], line.repeat(2000))).toBe(0);
});

test.runIf(existsSync('/dev/full'))('output that does not fit is a fault, told in one sentence', async () => {
  const at = await place();
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [MAIN, 'config', 'print'], {
    cwd: at.workspace,
    env: environment(at),
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  let err = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as unknown[];
  expect(code).toBe(5);
  expect(err).toMatch(/^error STORE_UNAVAILABLE: The output cannot be written: ENOSPC\.\nwhat to do: /);
});

test.skipIf(process.platform === 'win32')('a file that does not fit is told as that', async () => {
  const at = await place();
  await run(at, ['init']);
  const limited = `ulimit -f 1; exec "${process.execPath}" "${MAIN}" config schema --write`;
  const child = spawn('sh', ['-c', limited], { cwd: at.workspace, env: environment(at) });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as unknown[];
  expect(code).toBe(5);
  expect(err).toMatch(/^error STORE_UNAVAILABLE: A file cannot be written \(write\): EFBIG\.\n/);
});
