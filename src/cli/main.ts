#!/usr/bin/env node
// Owns the process of a command: its streams, its environment, its exit code. Loads nothing heavy itself.
import { once } from 'node:events';
import { createPrinter } from './print.ts';
import type { Printer } from './print.ts';
import { runCli } from './program.ts';

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

const argv = process.argv.slice(2);
// The server watches its own pipes.
if (argv[0] !== 'serve') process.stdout.on('error', leaveQuietly);
const exit = await runCli(argv, { env: process.env, printer });
// A client that is gone must not be outlived by a forgotten handle; everything has been closed and flushed by now.
if (argv[0] === 'serve') process.exit(exit);
process.exitCode = exit;
