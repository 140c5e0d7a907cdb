import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { environment, json, MAIN, place, run } from './harness.ts';
import type { Place } from './harness.ts';

interface Served {
  child: ChildProcessWithoutNullStreams;
  /** Every line of standard output so far. */
  lines: string[];
  errors: () => string;
  send(message: object): void;
  answer(id: number): Promise<{ result?: Record<string, unknown> }>;
  ended: Promise<number | null>;
}

function startServe(at: Place, flags: readonly string[] = []): Served {
  const child = spawn(process.execPath, [MAIN, 'serve', ...flags], {
    cwd: at.workspace,
    env: environment(at),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const reader = createInterface({ input: child.stdout });
  const waiting = new Map<number, (message: { result?: Record<string, unknown> }) => void>();
  reader.on('line', (line) => {
    lines.push(line);
    const message = JSON.parse(line) as { id?: number; result?: Record<string, unknown> };
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    lines,
    errors: () => err,
    send: (message) => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`),
    answer: (id) =>
      Promise.race([
        new Promise<{ result?: Record<string, unknown> }>((resolve) => waiting.set(id, resolve)),
        ended.then((code): never => {
          throw new Error(`ended with ${String(code)}: ${err}`);
        }),
      ]),
    ended,
  };
}

async function opened(at: Place, flags: readonly string[] = []): Promise<Served> {
  const served = startServe(at, flags);
  const clientInfo = { name: 'test', version: '1' };
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
  served.send({ id: 1, method: 'initialize', params });
  await served.answer(1);
  served.send({ method: 'notifications/initialized' });
  return served;
}

async function toolNames(served: Served): Promise<string[]> {
  served.send({ id: 2, method: 'tools/list', params: {} });
  const { result } = await served.answer(2);
  return (result?.tools as { name: string }[]).map((tool) => tool.name);
}

test('serve speaks only JSON-RPC on standard output, and ends with its input', async () => {
  const at = await place();
  const served = await opened(at);
  expect(await toolNames(served)).toContain('agent:execute-turn');
  served.child.stdin.end();
  expect(await served.ended).toBe(0);
  for (const line of served.lines) expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' });
  const logged = served.errors().trimEnd().split('\n');
  expect(JSON.parse(logged[0] ?? '')).toMatchObject({ msg: 'serving', workspace: at.workspace });
});

test('serve drains and ends on a signal', async () => {
  const at = await place();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const served = await opened(at);
    served.child.kill(signal);
    expect(await served.ended).toBe(0);
    expect(served.errors()).toContain('stopping');
  }
});

test('serve lists the set and spelling of tools that were asked for', async () => {
  const at = await place();
  const portable = await toolNames(await opened(at, ['--tool-names', 'portable', '--tools', 'turn']));
  expect(portable).toContain('agent_execute_turn');
  expect(portable.filter((name) => name.includes(':'))).toEqual([]);
  const operate = await toolNames(await opened(at, ['--tools', 'operate']));
  expect(operate).toContain('agent:list-requests');
  expect(operate).not.toContain('agent:execute-turn');
});

test('pinning starts the server, shows the difference, and writes only on a word', async () => {
  const at = await place();
  await mkdir(join(at.workspace, 'sandbox'));
  const lock = join(at.workspace, '.agent-runtime', 'tools.lock.json');
  const silent = await run(at, ['capabilities', 'pin', 'files']);
  expect(silent.code).toBe(3);
  await expect(stat(lock)).rejects.toThrow('ENOENT');

  const pinned = await json(at, ['capabilities', 'pin', 'files', '--yes']);
  expect(pinned.items).toMatchObject([{ server: 'files', written: true }]);
  expect(await readFile(lock, 'utf8')).toContain('read_text_file');
  const { items = [] } = await json(at, ['capabilities', 'list']);
  const state = new Map(items.map((one) => [one.id, one.pin]));
  expect(state.get('files:read_text_file')).toBe('pinned');
  expect(state.get('desk:search_docs')).toBe('unpinned');

  const again = await json(at, ['capabilities', 'pin', 'files']);
  expect(again.items).toMatchObject([{ diff: [], written: false }]);
  const call = { tool: 'files:read_text_file', id: '1', arguments: { path: 'a.txt' }, intent: 'notes' };
  const decided = await run(at, ['policy', 'decide', '--calls', '-', '--json'], {
    input: JSON.stringify(call),
  });
  expect(JSON.parse(decided.out)).toMatchObject({ decision: 'allow' });
});
