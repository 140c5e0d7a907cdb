#!/usr/bin/env node
// Owns the process of a command: its streams, its environment, its exit code. Waits for nothing heavy itself.
import { createRequire } from 'node:module';
import { createPrinter } from './print.ts';
import type { Printer } from './print.ts';
import { written } from './written.ts';

async function write(text: string): Promise<void> {
  await written(process.stdout, text);
}

function printer(json: boolean): Printer {
  const { NO_COLOR: noColor } = process.env;
  const color = process.stdout.isTTY && process.stderr.isTTY && (noColor === undefined || noColor === '');
  return createPrinter({ json, color, write, writeError: (text) => process.stderr.write(text) });
}

/**
 * What `serve` will need. Read at once and without waiting for each file, which is a third cheaper than importing;
 * whoever needs a module imports it again, and is told if it cannot load.
 */
const SERVING = [
  './program.js',
  './commands/serve.js',
  '../runtime/runtime.js',
  '../runtime/reloadable.js',
  '../server/stdio.js',
] as const;

function readAhead(modules: readonly string[]): void {
  const { require_module: isAble } = process.features as { require_module?: boolean };
  if (isAble !== true) return;
  const read = createRequire(import.meta.url);
  try {
    for (const module of modules) read(module);
  } catch {
    // The import that follows says what is wrong.
  }
}

const argv = process.argv.slice(2);
// A host waits for its server.
if (argv[0] === 'serve') readAhead(SERVING);
const { runCli } = await import('./program.ts');
// Whoever writes hears of it; a reader that left early must not change what the command finds, does or ends with.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const exit = await runCli(argv, { env: process.env, printer });
// A client that is gone must not be outlived by a forgotten handle; everything has been closed and flushed by now.
if (argv[0] === 'serve') process.exit(exit);
process.exitCode = exit;
