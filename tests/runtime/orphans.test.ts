// However the process ends, its children end with it; they are deaf to the end of their input and to SIGTERM.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive, script, until } from '../capabilities/fixtures.ts';
import { environment, MAIN, run } from '../cli/harness.ts';
import type { Place } from '../cli/harness.ts';
import { agree, pinRig } from './pins-rig.ts';
import { CALLER, place } from './rig.ts';

const HOST = fileURLToPath(new URL('./fixtures/host.mjs', import.meta.url));

interface Ending {
  program: ChildProcess;
  /** What it said so far, on both streams. */
  said: () => string;
  ended: Promise<unknown[]>;
}

function started(args: string[], env: NodeJS.ProcessEnv, cwd?: string): Ending {
  const program = spawn(process.execPath, args, { env, cwd, stdio: 'pipe' });
  let said = '';
  for (const stream of [program.stdout, program.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  const pid = (): number => Number(/deaf (\d+)/.exec(said)?.[1] ?? 0);
  onTestFinished(() => {
    program.kill('SIGKILL');
    if (pid() !== 0 && isAlive(pid())) process.kill(pid(), 'SIGKILL');
  });
  return { program, said: () => said, ended: once(program, 'exit') };
}

async function childOf({ said }: Ending): Promise<number> {
  await until(() => /deaf \d+/.test(said()));
  const pid = Number(/deaf (\d+)/.exec(said())?.[1]);
  expect(isAlive(pid)).toBe(true);
  return pid;
}

/** A program of the library in a place where a deaf server is pinned. */
async function host(how: 'exit' | 'throw' | 'close' | 'signal'): Promise<Ending> {
  const rig = await pinRig('listed', '--deaf');
  const pinning = await rig.process();
  await agree(pinning);
  await pinning.close();
  const { workspace, state: stateDirectory, root } = rig.at;
  const options = { config: rig.config, workspace, stateDirectory, tool: 'hostile:run', caller: CALLER };
  const file = join(root, 'options.json');
  writeFileSync(file, JSON.stringify(options));
  return started([HOST, file, how], { PATH: process.env['PATH'] });
}

test.each([
  ['exit', [0, null]],
  ['throw', [1, null]],
  ['close', [0, null]],
] as const)('a program of the library that ends by %s leaves no child', async (how, expected) => {
  const ending = await host(how);
  const [code, signal] = await ending.ended;
  expect(ending.said()).toContain('done');
  expect([code, signal]).toEqual(expected);
  const pid = Number(/deaf (\d+)/.exec(ending.said())?.[1]);
  await until(() => !isAlive(pid));
});

test.each(['SIGTERM', 'SIGHUP'] as const)(
  'one that %s ends, ends by it, and leaves no child',
  async (signal) => {
    const ending = await host('signal');
    const child = await childOf(ending);
    await until(() => ending.said().includes('done'));
    ending.program.kill(signal);
    expect(await ending.ended).toEqual([null, signal]);
    await until(() => !isAlive(child));
  },
);

/** The bundled configuration, with a deaf server in place of the desk. */
async function serving(): Promise<Ending> {
  const { root, workspace, state } = await place();
  const at: Place = { workspace, state };
  await run(at, ['init']);
  const tools = join(root, 'tools.json');
  writeFileSync(tools, JSON.stringify([{ name: 'search_docs', inputSchema: { type: 'object' } }]));
  const desk = {
    transport: 'stdio',
    command: process.execPath,
    args: [script('hostile'), 'listed', tools, '--deaf'],
  };
  const path = join(workspace, 'configs', 'servers.yaml');
  const files = { transport: 'stdio', command: 'node', args: ['-e', ''] };
  writeFileSync(path, JSON.stringify({ servers: { desk: { ...desk, era: 'legacy' }, files } }));
  const { digest } = JSON.parse((await run(at, ['config', 'check', '--json'])).out) as { digest: string };
  await run(at, ['trust', '--digest', digest]);
  const pinned = await run(at, ['capabilities', 'pin', 'desk', '--yes']);
  expect(pinned.code).toBe(0);
  const flags = ['--tools', 'all', '--log-level', 'debug'];
  const ending = started([MAIN, 'serve', ...flags], environment(at), workspace);
  const send = (message: object): void =>
    void ending.program.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const clientInfo = { name: 'test', version: '1' };
  send({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo },
  });
  send({ method: 'notifications/initialized' });
  send({ id: 2, method: 'tools/call', params: { name: 'desk:search_docs', arguments: {} } });
  return ending;
}

test.each([
  ['SIGTERM', [0, null]],
  ['SIGHUP', [null, 'SIGHUP']],
] as const)('serve that is ended by %s leaves no child', async (signal, expected) => {
  const ending = await serving();
  const child = await childOf(ending);
  await until(() => ending.said().includes('"id":2'));
  ending.program.kill(signal);
  expect(await ending.ended).toEqual(expected);
  await until(() => !isAlive(child));
});
