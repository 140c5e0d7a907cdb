// Where a server works and where its relative paths are judged are one directory, whatever directory we were started in.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, onTestFinished, test } from 'vitest';
import { edit, environment, json, MAIN, place, run } from './harness.ts';
import type { Place } from './harness.ts';
import { openScreen } from './screen.ts';

const SERVER = new URL('../../node_modules/@modelcontextprotocol/server/dist/', import.meta.url).href;

/** A server whose one tool reads a file by its name, as most do: from where it works. */
async function reader(at: Place): Promise<string> {
  const program = join(at.workspace, 'reader.mjs');
  await writeFile(
    program,
    `import { readFileSync } from 'node:fs';
import { McpServer, fromJsonSchema } from '${SERVER}index.mjs';
import { serveStdio } from '${SERVER}stdio.mjs';
serveStdio(() => {
  const server = new McpServer({ name: 'reader', version: '1.0.0' });
  const inputSchema = fromJsonSchema({ type: 'object', properties: { path: { type: 'string' } }, required: ['path'] });
  const annotations = { readOnlyHint: true, openWorldHint: false };
  server.registerTool('read_text_file', { description: 'Reads.', inputSchema, annotations }, async ({ path }) => ({
    content: [{ type: 'text', text: readFileSync(path, 'utf8') }],
  }));
  return server;
});
`,
  );
  return program;
}

async function read(
  at: Place,
  args: readonly string[],
  cwd: string,
  name: string,
  path: string,
): Promise<string> {
  const client = new Client({ name: 'test', version: '1.0.0' }, { capabilities: {} });
  const env = environment(at) as Record<string, string>;
  const started = { command: process.execPath, args: [MAIN, ...args], cwd, env, stderr: 'ignore' as const };
  await client.connect(new StdioClientTransport(started));
  onTestFinished(() => client.close());
  const answer = await client.callTool({ name, arguments: { path } });
  const [first] = answer.content as { text?: string }[];
  return first?.text ?? '';
}

/** A workspace with a server of its own; in each of the places lies a file that says where. */
async function workspaceWith(cwd: string | undefined): Promise<Place> {
  const at = await place();
  await run(at, ['init']);
  const program = await reader(at);
  const sandbox = join(at.workspace, 'sandbox');
  await mkdir(sandbox, { recursive: true });
  for (const where of [dirname(at.workspace), at.workspace, sandbox]) {
    await writeFile(join(where, 'where.txt'), where);
  }
  const files = { transport: 'stdio', command: process.execPath, args: [program], ...(cwd && { cwd }) };
  const desk = { transport: 'stdio', command: 'node', args: ['-e', ''] };
  await writeFile(
    join(at.workspace, 'configs', 'servers.yaml'),
    JSON.stringify({ servers: { files, desk } }),
  );
  await edit(at, 'configs/runtime.yaml', ['intent: triage', 'intent: notes']);
  const { digest } = await json(at, ['config', 'check']);
  await run(at, ['trust', '--digest', String(digest)]);
  expect((await run(at, ['capabilities', 'pin', 'files', '--yes'])).code).toBe(0);
  return at;
}

const serve = (at: Place): string[] => ['serve', '--workspace', at.workspace, '--tools', 'gateway'];

test('a server without cwd works in the sandbox root, not where we were started', async () => {
  const at = await workspaceWith(undefined);
  const text = await read(at, serve(at), dirname(at.workspace), 'files:read_text_file', 'where.txt');
  expect(text).toBe(join(at.workspace, 'sandbox'));
  const lock = await readFile(join(at.workspace, '.agent-runtime', 'tools.lock.json'), 'utf8');
  expect(lock).not.toContain('"cwd"');
});

test('a relative path is judged from the cwd of its server', async () => {
  const at = await workspaceWith('{workspace}');
  const args = serve(at);
  const call = (path: string): Promise<string> =>
    read(at, args, dirname(at.workspace), 'files:read_text_file', path);
  expect(await call('where.txt')).toContain('sandbox_path');
  expect(await call('sandbox/where.txt')).toBe(join(at.workspace, 'sandbox'));
  const line = `${JSON.stringify({ id: 'x', tool: 'read_file', arguments: { path: 'where.txt' }, intent: 'notes' })}\n`;
  await writeFile(join(at.workspace, 'calls.jsonl'), line);
  const decided = await run(at, ['policy', 'decide', '--calls', 'calls.jsonl', '--assume-pinned']);
  expect(decided.out).toContain('x  deny  sandbox_path');
});

test('a cwd that depends on where we are started is refused', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/servers.yaml', ['    env_allow: []', '    cwd: data\n    env_allow: []']);
  const checked = await run(at, ['config', 'check']);
  expect([checked.code, checked.err]).toEqual([
    1,
    expect.stringContaining('/servers/desk/cwd: must be absolute'),
  ]);
});

test('trust shows the directory that a server is started in', async () => {
  const at = await workspaceWith(undefined);
  await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: 4']);
  const screen = await openScreen(at, ['trust'], '', 400);
  const shown = await screen.shows('Trust this configuration');
  expect(shown).toContain(`in ${join(at.workspace, 'sandbox')}, sees`);
});

test('a wrapped server works where its host started it, and is judged there', async () => {
  const at = await place();
  const program = await reader(at);
  const folder = join(at.workspace, 'docs');
  await mkdir(folder);
  for (const where of [at.workspace, folder]) await writeFile(join(where, 'where.txt'), where);
  const target = ['--root', folder, '--', 'node', program];
  expect((await run(at, ['wrap', '--classify', '--yes', ...target])).code).toBe(0);
  const call = (path: string): Promise<string> =>
    read(at, ['wrap', ...target], at.workspace, 'reader:read_text_file', path);
  expect(await call('docs/where.txt')).toBe(folder);
  expect(await call('where.txt')).toContain('sandbox_path');
});

test('a directory whose name has braces is one to start a wrapped server in', async () => {
  const at = await place();
  const program = await reader(at);
  const folder = join(at.workspace, '{app}');
  await mkdir(folder);
  await writeFile(join(folder, 'where.txt'), folder);
  const args = ['--workspace', at.workspace, '--', 'node', program];
  const classed = await run(at, ['wrap', '--classify', '--yes', ...args], { cwd: folder });
  expect([classed.code, classed.out]).toEqual([0, expect.stringContaining('allow')]);
  expect(await read(at, ['wrap', ...args], folder, 'reader:read_text_file', 'where.txt')).toBe(folder);
});
