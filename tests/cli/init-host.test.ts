// `init --host` as a command: the change is shown and asked about, kept, made, and taken back exactly.
import { chmod, mkdir, readdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, onTestFinished, test } from 'vitest';
import { environment, place, run } from './harness.ts';
import type { Place, Ran } from './harness.ts';
import { openScreen } from './screen.ts';

const FILES = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-filesystem/dist/index.js', import.meta.url),
);
const SECRET = 'hunter2-hunter2';
const HOSTS = ['claude-code', 'claude-desktop', 'vscode', 'cursor', 'codex'] as const;

interface Entry {
  command: string;
  args: string[];
  env?: Record<string, string>;
}

const home = (at: Place): string => join(dirname(at.workspace), 'home');

/** A command whose user has a home of its own. */
function init(at: Place, ...args: string[]): Promise<Ran> {
  return run(at, ['init', ...args], { env: { HOME: home(at) } });
}

async function written(ran: Ran): Promise<{ file: string; diff: string[]; backup?: string }> {
  expect([ran.code, ran.err]).toEqual([0, '']);
  return JSON.parse(ran.out) as { file: string; diff: string[]; backup?: string };
}

/** Our block of a TOML file writes texts as JSON does. */
function tomlEntry(text: string): Entry {
  const [, command = '', args = ''] =
    /^\[mcp_servers\.agent-runtime\]\ncommand = (.+)\nargs = (.+)$/m.exec(text) ?? [];
  return { command: JSON.parse(command) as string, args: JSON.parse(args) as string[] };
}

function entriesOf(file: string, text: string): Record<string, Entry> {
  if (file.endsWith('.toml')) return { 'agent-runtime': tomlEntry(text) };
  const document = JSON.parse(text) as Record<string, Record<string, Entry>>;
  return document['mcpServers'] ?? document['servers'] ?? {};
}

async function toolsOf(at: Place, { command, args, env = {} }: Entry): Promise<Client> {
  const client = new Client({ name: 'host', version: '1.0.0' }, { capabilities: {} });
  const given = environment(at, { HOME: home(at), ...env }) as Record<string, string>;
  await client.connect(new StdioClientTransport({ command, args, cwd: '/', env: given, stderr: 'ignore' }));
  onTestFinished(() => client.close());
  return client;
}

test.each(HOSTS)('%s: what is written starts the runtime, and --undo leaves no trace', async (host) => {
  const at = await place();
  await mkdir(home(at));
  const { file, diff } = await written(await init(at, '--host', host, '--yes', '--json'));
  expect(diff.some((line) => line.startsWith('+ ') && line.includes('agent-runtime'))).toBe(true);
  const entry = entriesOf(file, await readFile(file, 'utf8'))['agent-runtime'];
  if (entry === undefined) throw new Error('no entry');
  const { tools } = await (await toolsOf(at, entry)).listTools();
  expect(tools.map(({ name }) => name)).toContain('agent_execute_turn');
  await written(await init(at, '--host', host, '--undo', '--yes', '--json'));
  await expect(stat(file)).rejects.toThrow('ENOENT');
  expect(await readdir(home(at))).toEqual([]);
  // The runtime that was started has made its own two.
  expect((await readdir(at.workspace)).sort()).toEqual(['.agent-runtime', 'sandbox']);
});

async function configured(at: Place): Promise<{ file: string; text: string }> {
  const file = join(at.workspace, '.mcp.json');
  const docs = join(at.workspace, 'docs');
  await mkdir(docs);
  await writeFile(join(docs, 'a.txt'), 'what the file says');
  const server = { command: 'node', args: [FILES, docs], env: { API_TOKEN: SECRET }, note: 'stays' };
  const text = JSON.stringify({ other: { x: [1] }, mcpServers: { files: server } }, null, 4);
  await writeFile(file, text);
  await chmod(file, 0o640);
  return { file, text };
}

test('a server of the host is wrapped where it stands, asks, and comes back exactly', async () => {
  const at = await place();
  const { file, text } = await configured(at);
  const ran = await init(at, '--host', 'claude-code', '--wrap', 'all', '--yes', '--json');
  const { backup = '' } = await written(ran);
  expect(ran.out).not.toContain(SECRET);
  expect((await stat(backup)).mode & 0o777).toBe(0o600);
  expect(backup.startsWith(at.state)).toBe(true);
  expect(await readFile(backup, 'utf8')).toBe(text);
  const now = await readFile(file, 'utf8');
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  expect(JSON.parse(now)).toMatchObject({
    other: { x: [1] },
    mcpServers: { files: { env: { API_TOKEN: SECRET }, note: 'stays' } },
  });

  const entry = entriesOf(file, now)['files'];
  if (entry === undefined) throw new Error('no entry');
  const client = await toolsOf(at, entry);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('files_read_text_file');
  const path = join(at.workspace, 'docs', 'a.txt');
  const answer = await client.callTool({ name: 'files_read_text_file', arguments: { path } });
  expect(JSON.stringify(answer)).toContain('has to approve it first');

  await written(await init(at, '--host', 'claude-code', '--undo', '--yes', '--json'));
  expect(await readFile(file, 'utf8')).toBe(text);
  expect((await stat(file)).mode & 0o777).toBe(0o640);
});

test('without --yes a person is asked; without a person nothing changes', async () => {
  const at = await place();
  const { file, text } = await configured(at);
  const refused = await init(at, '--host', 'claude-code');
  expect([refused.code, refused.err]).toEqual([3, expect.stringContaining('+         "agent-runtime": {')]);
  expect(await readFile(file, 'utf8')).toBe(text);

  const screen = await openScreen(at, ['init', '--host', 'claude-code']);
  expect(await screen.shows('Write this to the file of Claude Code?')).toContain('"agent-runtime": {');
  await screen.keys('n');
  await screen.shows('EXIT:3');
  expect(await readFile(file, 'utf8')).toBe(text);

  const again = await openScreen(at, ['init', '--host', 'claude-code']);
  await again.shows('Write this to the file of Claude Code?');
  await again.keys('y');
  await again.shows('EXIT:0');
  expect(await readFile(file, 'utf8')).toContain('"agent-runtime"');
});

test('a file that is malformed is refused with its line, and stays', async () => {
  const at = await place();
  const file = join(at.workspace, '.mcp.json');
  const text = `{\n  "mcpServers": {\n    "a": { "env": { "K": "${SECRET} }\n  }\n}\n`;
  await writeFile(file, text);
  const ran = await init(at, '--host', 'claude-code', '--yes');
  expect([ran.code, ran.err]).toEqual([2, expect.stringContaining(`${file}:3: this is not JSON`)]);
  expect(ran.err).not.toContain(SECRET);
  await writeFile(file, Buffer.from([0x7b, 0xff, 0x7d]));
  expect((await init(at, '--host', 'claude-code', '--yes')).err).toContain('not UTF-8');
  expect(await readFile(file)).toEqual(Buffer.from([0x7b, 0xff, 0x7d]));
});

test('two changes are taken back one after the other', async () => {
  const at = await place();
  const { file, text } = await configured(at);
  await written(await init(at, '--host', 'claude-code', '--yes', '--json'));
  const between = await readFile(file, 'utf8');
  await written(await init(at, '--host', 'claude-code', '--wrap', 'files', '--yes', '--json'));
  await written(await init(at, '--host', 'claude-code', '--undo', '--yes', '--json'));
  expect(await readFile(file, 'utf8')).toBe(between);
  await written(await init(at, '--host', 'claude-code', '--undo', '--yes', '--json'));
  expect(await readFile(file, 'utf8')).toBe(text);
  expect((await init(at, '--host', 'claude-code', '--undo', '--yes')).code).toBe(4);
});

test('a file that its host changed since is not put back over that change', async () => {
  const at = await place();
  const { file, text } = await configured(at);
  await written(await init(at, '--host', 'claude-code', '--yes', '--json'));
  const changed = `${await readFile(file, 'utf8')}\n`;
  await writeFile(file, changed);
  const ran = await init(at, '--host', 'claude-code', '--undo', '--yes');
  expect([ran.code, ran.err]).toEqual([5, expect.stringContaining('was changed since we wrote it')]);
  expect(await readFile(file, 'utf8')).toBe(changed);
  const [, backup = ''] = /What it was is in (\S+\.bak)/.exec(ran.err) ?? [];
  expect(await readFile(backup, 'utf8')).toBe(text);
});

test('a link that leads out of the workspace is not followed; one in a home is', async () => {
  const at = await place();
  const elsewhere = join(home(at), 'elsewhere.json');
  await mkdir(join(home(at), '.config', 'Claude'), { recursive: true });
  await writeFile(elsewhere, '{}\n');
  await symlink(elsewhere, join(at.workspace, '.mcp.json'));
  await symlink(home(at), join(at.workspace, '.cursor'));
  for (const host of ['claude-code', 'cursor']) {
    const ran = await init(at, '--host', host, '--yes');
    expect([ran.code, ran.err]).toEqual([2, expect.stringContaining('leads out of the workspace')]);
  }
  expect(await readFile(elsewhere, 'utf8')).toBe('{}\n');
  const link = join(home(at), '.config', 'Claude', 'claude_desktop_config.json');
  await symlink(elsewhere, link);
  await written(await init(at, '--host', 'claude-desktop', '--yes', '--json'));
  expect(await realpath(link)).toBe(await realpath(elsewhere));
  expect(await readFile(elsewhere, 'utf8')).toContain('agent-runtime');
});

test('its words', async () => {
  const at = await place();
  const help = await init(at, '--help');
  expect(help.out).toContain('agent-runtime init --host claude-code');
  expect((await init(at, '--undo')).err).toContain('belong to --host');
  expect((await init(at, '--host', 'emacs')).code).toBe(2);
  expect((await init(at, '--host', 'vscode', '--undo', '--wrap', 'all')).code).toBe(2);
});
