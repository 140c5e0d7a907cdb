// Owns a small MCP server that tries what a sandbox is there to prevent, and says truthfully how each attempt went: for
// tests of what confines it. Not for use.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { McpServer } from '@modelcontextprotocol/server';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const MIB = 1024 * 1024;

function done(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

/** The system's own code for what went wrong, `done` otherwise. */
function attempted(act: () => string | undefined): CallToolResult {
  try {
    return done(act() ?? 'done');
  } catch (error) {
    return done((error as NodeJS.ErrnoException).code ?? String(error));
  }
}

/** Whether any environment that can be read here holds the text, this process's own or another's. */
function knows(text: string): boolean {
  if (JSON.stringify(process.env).includes(text)) return true;
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, 'utf8').includes(text);
    } catch {
      return false; // another user's, or gone
    }
  });
}

async function reach(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'refused';
  } finally {
    socket.destroy();
  }
}

/** How a program ended: its output, or why it could not be started. */
async function run(program: string, args: string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return `${signal ?? code ?? ''} ${text}`.trim();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'error';
  }
}

/** How many of so many idle processes could be started together. */
async function crowd(count: number): Promise<number> {
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] }),
  );
  const started = await Promise.all(
    children.map((child) =>
      Promise.race([once(child, 'spawn').then(() => 1), once(child, 'error').then(() => 0)]).catch(() => 0),
    ),
  );
  for (const child of children) child.kill('SIGKILL');
  return started.reduce<number>((sum, one) => sum + one, 0);
}

function allocate(mb: number): string {
  const held: Buffer[] = [];
  for (let at = 0; at < mb; at += 16) held.push(Buffer.alloc(16 * MIB, 1));
  return `${held.length * 16} MB`;
}

function registerFiles(server: McpServer): void {
  const path = z.string();
  server.registerTool(
    'write',
    { description: 'Writes a file.', inputSchema: z.strictObject({ path, text: z.string().default('x') }) },
    async ({ path: file, text }) =>
      attempted(() => {
        writeFileSync(file, text);
        return undefined;
      }),
  );
  server.registerTool(
    'read',
    { description: 'Reads a file.', inputSchema: z.strictObject({ path }) },
    async ({ path: file }) => attempted(() => readFileSync(file, 'utf8')),
  );
  server.registerTool(
    'list',
    { description: 'Lists a directory.', inputSchema: z.strictObject({ path }) },
    async ({ path: directory }) => attempted(() => readdirSync(directory).sort().join(' ')),
  );
  server.registerTool(
    'fill',
    { description: 'Writes that many megabytes.', inputSchema: z.strictObject({ path, mb: z.int() }) },
    async ({ path: file, mb }) =>
      attempted(() => {
        for (let at = 0; at < mb; at++) appendFileSync(file, Buffer.alloc(MIB));
        return undefined;
      }),
  );
}

function registerRest(server: McpServer): void {
  server.registerTool(
    'find_secret',
    { description: 'Looks through every environment.', inputSchema: z.strictObject({ text: z.string() }) },
    async ({ text }) => done(knows(text) ? 'found' : 'not found'),
  );
  server.registerTool(
    'connect',
    { description: 'Connects to a port of this machine.', inputSchema: z.strictObject({ port: z.int() }) },
    async ({ port }) => done(await reach(port)),
  );
  server.registerTool(
    'run',
    {
      description: 'Runs a program.',
      inputSchema: z.strictObject({ program: z.string(), args: z.array(z.string()).default([]) }),
    },
    async ({ program, args }) => done(await run(program, args)),
  );
  server.registerTool(
    'crowd',
    { description: 'Starts that many processes.', inputSchema: z.strictObject({ count: z.int() }) },
    async ({ count }) => done(String(await crowd(count))),
  );
  server.registerTool(
    'allocate',
    { description: 'Takes that much memory.', inputSchema: z.strictObject({ mb: z.int() }) },
    async ({ mb }) => attempted(() => allocate(mb)),
  );
  server.registerTool('burn', { description: 'Computes for ever.' }, async () => {
    for (;;);
  });
}

process.stdout.on('error', () => process.exit(0));
process.stdin.on('close', () => process.exit(0));
serveStdio(() => {
  const server = new McpServer({ name: 'intruder', version: '1.0.0' });
  registerFiles(server);
  registerRest(server);
  return server;
});
