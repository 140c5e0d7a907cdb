// The part of the client matrix that every test run affords; `npm run matrix -- clients` runs all of it.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';

const MATRIX = fileURLToPath(new URL('../../scripts/matrix.mjs', import.meta.url));
const CLIENTS = ['v2-modern', 'v2-legacy', 'v1', 'v2-modern-http', 'v2-legacy-http', 'v1-http'] as const;
const ANSWERS = ['accept-high', 'reject', 'decline', 'dismiss', 'no-elicitation'] as const;
const CELLS = ['turn', 'progress-turn', ...ANSWERS] as const;

type Cell = (typeof CELLS)[number];

interface Result {
  cell: string;
  ok: boolean;
  detail: string;
}

async function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [MATRIX, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

const results = new Map<string, Result>();

async function runMatrix(...args: string[]): Promise<void> {
  const { code, out, err } = await run('clients', '--json', ...args);
  const lines = out.trim().split('\n').filter(Boolean);
  for (const line of lines) {
    const result = JSON.parse(line) as Result;
    results.set(result.cell, result);
  }
  const isGreen = lines.length > 0 && lines.every((line) => (JSON.parse(line) as Result).ok);
  expect({ code, err: lines.length === 0 ? err : '' }).toEqual({ code: isGreen ? 0 : 1, err: '' });
}

beforeAll(() => runMatrix('--cells', CELLS.join()), 120_000);

describe.each(CLIENTS)('%s, the server as a user starts it', (client) => {
  const expectOk = (...cells: Cell[]): void => {
    for (const cell of cells) expect(results.get(`${client}/${cell}`)).toMatchObject({ ok: true });
  };

  verifies(
    ['AP-17'],
    'accept approves or rejects, decline and cancel leave pending, and other clients use the queue',
    () => expectOk(...ANSWERS),
  );

  verifies(['AP-03'], 'an approved call runs once, in the process of its tool, without asking again', () =>
    expectOk('accept-high', 'no-elicitation'),
  );

  verifies(
    { partial: ['AP-02', 'AP-04'] },
    'an answer from another process counts; a refusal runs nothing',
    () => expectOk('no-elicitation', 'reject'),
  );

  verifies(['TC-11'], 'snapshots of a turn arrive numbered, before their answer, one of them final', () =>
    expectOk('progress-turn'),
  );

  test('a turn asks for a tool, a person approves it, and the next turn goes on', () => expectOk('turn'));
});

test('a matrix without a cell is a failure', async () => {
  expect((await run('clients', '--cells', 'none')).code).toBe(2);
  expect((await run('nothing')).code).toBe(2);
});
