// Children: what they get, what is heard of them, and that they are gone when they should be.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { childEnvironment } from '../../../src/kernel/sandbox/environment.ts';
import type { Sandbox, SpawnedProcess, SpawnSpec } from '../../../src/kernel/sandbox/contract.ts';
import { createSandbox } from '../../../src/kernel/sandbox/spawn.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { verifies } from '../../e2e/verifies.ts';

const IDLE = 'setInterval(() => {}, 1000)';
// Says that it is ready only once its handlers stand.
const STUBBORN = `process.on('SIGTERM', () => {}); process.stdin.on('end', () => {}); process.stdin.resume(); ${IDLE}; console.log('ready')`;

const dist = (file: string): string => JSON.stringify(new URL(`../../../dist/${file}`, import.meta.url).href);
const IN_ANOTHER_PROCESS = `
  const { createSandbox } = await import(${dist('kernel/sandbox/spawn.js')});
  const { systemClock } = await import(${dist('base/clock.js')});
  const box = createSandbox({ clock: systemClock, environment: process.env });`;
/** Lists its own descriptors, then those of a child. */
const OURS = `${IN_ANOTHER_PROCESS}
  const { readlinkSync } = await import('node:fs');
  const own = [readlinkSync('/proc/self/fd/60')];
  const spec = { label: 'ls', command: '/bin/ls', args: ['-l', '/proc/self/fd'], cwd: '/', envAllow: [], env: {} };
  const child = await box.spawn(spec);
  let text = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  await child.exited;
  console.log(JSON.stringify([own, text.trim().split('\\n')]));`;

function sandbox(): Sandbox {
  return createSandbox({ clock: systemClock, environment: process.env, inputGraceMs: 50, termGraceMs: 100 });
}

function run(box: Sandbox, code: string, over: Partial<SpawnSpec> = {}): Promise<SpawnedProcess> {
  return box.spawn({
    label: 'child',
    command: process.execPath,
    args: ['-e', code],
    cwd: tmpdir(),
    envAllow: [],
    env: {},
    ...over,
  });
}

async function output(child: SpawnedProcess): Promise<string> {
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await child.exited;
  return Buffer.concat(chunks).toString();
}

/** Whether a process of the group runs; one that is dead and only waits to be reaped by init does not count. */
function groupIsAlive(group: number): boolean {
  if (process.platform !== 'linux') {
    try {
      return process.kill(-group, 0);
    } catch {
      return false;
    }
  }
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(pgrp) === group && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  });
}

verifies({ partial: ['SB-02'] }, 'the environment is a list, whatever ours holds', () => {
  const ambient = { PATH: '/bin', SECRET: 'canary', EXTRA: 'x', TERM: '() { :; }', __proto__x: 'y' };
  expect(childEnvironment(ambient, ['EXTRA', 'toString'], { SET: '1', PATH: '/own' })).toEqual({
    PATH: '/own',
    EXTRA: 'x',
    SET: '1',
  });
});

test('no shell reads the program or its arguments', async () => {
  const box = sandbox();
  const args = [
    '-e',
    'console.log(JSON.stringify(process.argv.slice(1)))',
    '$(id)',
    '; echo x',
    '`id`',
    'a b',
  ];
  const child = await run(box, '', { args });
  expect(JSON.parse(await output(child))).toEqual(['$(id)', '; echo x', '`id`', 'a b']);
  await expect(run(box, '', { command: 'node -e 1' })).rejects.toMatchObject({
    code: 'SUBPROCESS_TRANSPORT_FAILED',
  });
});

test('a program that cannot be started is an error with a reason, also for bad arguments', async () => {
  const box = sandbox();
  await expect(run(box, '', { command: '/nonexistent' })).rejects.toMatchObject({
    details: { reason: 'ENOENT' },
  });
  await expect(run(box, '', { cwd: '/nonexistent' })).rejects.toMatchObject({
    details: { reason: 'ENOENT' },
  });
  await expect(run(box, '', { args: ['a\0b'] })).rejects.toMatchObject({
    details: { reason: 'ERR_INVALID_ARG_VALUE' },
  });
  expect(box.live()).toBe(0);
});

test('only the three standard descriptors are passed on, also where our parent left one open', async () => {
  if (process.platform !== 'linux') return;
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-'));
  const secret = openSync(join(directory, 'secret'), 'w');
  try {
    // Beyond a gap, where Node's own precaution does not reach.
    const stdio: ('ignore' | 'pipe' | 'inherit' | number)[] = ['ignore', 'pipe', 'inherit'];
    while (stdio.length < 60) stdio.push('ignore');
    const us = spawn(process.execPath, ['--input-type=module', '-e', OURS], { stdio: [...stdio, secret] });
    const chunks: Buffer[] = [];
    us.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(us, 'close');
    const [ours, childs] = JSON.parse(Buffer.concat(chunks).toString()) as [string[], string[]];
    expect(ours.filter((line) => line.endsWith('/secret'))).toHaveLength(1);
    // The fourth is the directory that ls itself reads.
    const extra = childs.filter((line) => !/ [0-3] -> /.test(line) && !line.endsWith('-> /dev/null'));
    expect(extra).toEqual(['total 0']);
  } finally {
    closeSync(secret);
    rmSync(directory, { recursive: true });
  }
});

test('output written just before the end is read', async () => {
  const child = await run(sandbox(), `process.stdout.write('x'.repeat(300000))`);
  expect((await output(child)).length).toBe(300_000);
  expect(await child.exited).toEqual({ code: 0, signal: null });
});

test('standard error comes line by line, cut, and limited in number', async () => {
  const lines: string[] = [];
  const code = `console.error('one\\u001b[31m'); console.error('y'.repeat(50000)); for (let i = 0; i < 500; i++) console.error('n' + i)`;
  const child = await run(sandbox(), code, { onStderr: (line) => lines.push(line) });
  await output(child);
  expect(lines[0]).toBe('one\\u{1b}[31m');
  expect(lines[1]).toMatch(/^y{2000}… \(cut/);
  expect(lines.length).toBeLessThan(120);
  expect(lines.at(-1)).toMatch(/^\(\d+ lines left out\)$/);
});

test('kill goes from end of input over SIGTERM to SIGKILL', async () => {
  // Time is the test's, so that no child is too slow for it.
  const clock = createFakeClock();
  const box = createSandbox({ clock, environment: process.env, inputGraceMs: 50, termGraceMs: 100 });
  const polite = await run(box, `process.stdin.resume(); process.stdin.on('end', () => process.exit(4))`);
  expect(await polite.kill()).toEqual({ code: 4, signal: null });

  const idle = await run(box, IDLE);
  const ending = idle.kill();
  clock.advance(50);
  expect(await ending).toEqual({ code: null, signal: 'SIGTERM' });

  const stubborn = await run(box, `process.on('SIGTERM', () => console.log('no')); ${STUBBORN}`);
  await once(stubborn.stdout, 'data');
  const killed = stubborn.kill();
  clock.advance(50);
  await once(stubborn.stdout, 'data');
  clock.advance(99);
  expect(groupIsAlive(stubborn.pid)).toBe(true);
  clock.advance(1);
  expect(await killed).toEqual({ code: null, signal: 'SIGKILL' });
  expect(box.live()).toBe(0);
});

test('a child takes its own children with it, also when it ends by itself', async () => {
  const box = sandbox();
  const parent = `const c = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(STUBBORN)}], { stdio: ['ignore', 'inherit', 'inherit'] });`;
  for (const code of [
    `${parent} process.stdin.resume(); process.stdin.on('data', () => process.exit(0))`,
    `${parent} ${IDLE}`,
  ]) {
    const child = await run(box, code);
    await once(child.stdout, 'data');
    expect(groupIsAlive(child.pid)).toBe(true);
    if (code.includes('data')) child.stdin.write('go');
    else await child.kill();
    await child.exited;
    while (groupIsAlive(child.pid)) await new Promise((resolve) => setImmediate(resolve));
  }
});

test('killAll and killAllNow leave nobody and let nobody in', async () => {
  const box = sandbox();
  const first = await run(box, STUBBORN);
  await once(first.stdout, 'data');
  const second = await run(box, IDLE);
  expect(box.live()).toBe(2);
  await box.killAll();
  expect(box.live()).toBe(0);
  expect([first, second].map(({ pid }) => groupIsAlive(pid))).toEqual([false, false]);
  await expect(run(box, IDLE)).rejects.toMatchObject({ code: 'SUBPROCESS_TRANSPORT_FAILED' });

  const other = sandbox();
  const third = await run(other, STUBBORN);
  other.killAllNow();
  expect(await third.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test('what is being started when all are killed is not started, and the end waits to know that', async () => {
  const box = sandbox();
  let answer: unknown;
  const started = run(box, IDLE).catch((thrown: unknown) => {
    answer = thrown;
  });
  await box.killAll();
  expect(answer).toMatchObject({ code: 'SUBPROCESS_TRANSPORT_FAILED' });
  expect(box.live()).toBe(0);
  await started;
});

test('a child that listens to its input ends when we are killed', async () => {
  const probe = fileURLToPath(new URL('../../../dist/testing/servers/probe.js', import.meta.url));
  const parent = `${IN_ANOTHER_PROCESS}
    const spec = { label: 'p', command: process.execPath, args: [${JSON.stringify(probe)}], cwd: '/', envAllow: [], env: {} };
    console.log((await box.spawn(spec)).pid);
    setInterval(() => {}, 1000);`;
  const us = spawn(process.execPath, ['--input-type=module', '-e', parent], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(us.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  expect(groupIsAlive(pid)).toBe(true);
  us.kill('SIGKILL');
  await once(us, 'exit');
  while (groupIsAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
});
