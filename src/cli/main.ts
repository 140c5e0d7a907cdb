#!/usr/bin/env node
// Owns the process of a command: its streams, its environment, its exit code. Waits for nothing heavy itself.
import { once } from 'node:events';
import { createPrinter } from './print.ts';
import type { Printer } from './print.ts';

/** Whoever reads our output may leave early (`| head`); that is no fault of the command. */
function leaveQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

function printer(json: boolean): Printer {
  const { NO_COLOR: noColor } = process.env;
  const color = process.stdout.isTTY && process.stderr.isTTY && (noColor === undefined || noColor === '');
  return createPrinter({ json, color, write, writeError: (text) => process.stderr.write(text) });
}

/** What `serve` will need; loading it does nothing. Whoever needs it imports it again, and is told if it cannot load. */
const SERVING: readonly (() => Promise<unknown>)[] = [
  () => import('./commands/serve.ts'),
  () => import('../runtime/runtime.ts'),
  () => import('../server/index.ts'),
  () => import('yaml'),
];

const argv = process.argv.slice(2);
// A host waits for its server: the modules are read all at once, while the command line is still being looked at.
if (argv[0] === 'serve') for (const load of SERVING) load().catch(() => undefined);
const { runCli } = await import('./program.ts');
// The server watches its own pipes.
if (argv[0] !== 'serve') process.stdout.on('error', leaveQuietly);
const exit = await runCli(argv, { env: process.env, printer });
// A client that is gone must not be outlived by a forgotten handle; everything has been closed and flushed by now.
if (argv[0] === 'serve') process.exit(exit);
process.exitCode = exit;
