// Owns the reading of a command line: commander over the tree of commands, and every ending as an exit code.
import { Command } from 'commander';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { createContext } from './context.ts';
import type { CommonOptions, Env } from './context.ts';
import { EXIT, exitOf } from './exits.ts';
import type { Exit } from './exits.ts';
import { fileFault } from './file-fault.ts';
import type { Printer } from './print.ts';
import { option } from './leaf.ts';
import type { Leaf } from './leaf.ts';
import { GROUPS, TOP } from './tree.ts';
import { version } from './version.ts';

export interface Io {
  env: Env;
  printer: (json: boolean) => Printer;
}

function addLeaf(
  parent: Command,
  leaf: Leaf,
  run: (handler: Leaf['load'], args: unknown[]) => Promise<void>,
): void {
  const command = parent
    .command(leaf.name)
    .summary(leaf.summary)
    .description(leaf.notes === undefined ? leaf.summary : `${leaf.summary}\n\n${leaf.notes}`)
    .addHelpText('after', `\nExample:\n  $ agent-runtime ${leaf.example}`);
  for (const one of leaf.options ?? []) command.addOption(one);
  command
    .addOption(option('--workspace <dir>', 'the folder that holds .agent-runtime/ (default: here)'))
    .addOption(
      option(
        '--config <dir>',
        'the configuration (default: configs/ of the workspace, else the bundled example)',
      ),
    )
    .addOption(option('--json', 'print JSON for machines'))
    .action((...args: unknown[]) => run(leaf.load, args));
}

function createProgram(io: Io, end: (exit: Exit) => void): Command {
  const program = new Command('agent-runtime')
    .description('A governed runtime around model turns and tool calls: policy, approvals, evidence.')
    .version(version(), '-V, --version')
    .addHelpText('after', '\nExample:\n  $ agent-runtime demo --yes')
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  const run = async (load: Leaf['load'], all: unknown[]): Promise<void> => {
    // Commander hands over the arguments, then the options, then the command.
    const options = all.at(-2) as CommonOptions;
    const args = all.slice(0, -2) as string[];
    const context = createContext(options, io.env, io.printer(options.json === true));
    const handler = await load();
    end(await handler(context, options as never, ...args));
  };
  for (const leaf of TOP) addLeaf(program, leaf, run);
  for (const [name, { summary, leaves }] of Object.entries(GROUPS)) {
    const example = leaves[0]?.example ?? name;
    const group = program
      .command(name)
      .summary(summary)
      .description(summary)
      .addHelpText('after', `\nExample:\n  $ agent-runtime ${example}`);
    for (const leaf of leaves) addLeaf(group, leaf, run);
  }
  return program;
}

/** Commander's own endings: help and version are fine, anything else is a mistake in the words typed. */
function usageError(thrown: unknown): Exit | RuntimeError {
  const { code, exitCode, message } = thrown as { code?: unknown; exitCode?: unknown; message?: unknown };
  if (typeof code !== 'string' || !code.startsWith('commander.')) {
    return fileFault(thrown) ?? asRuntimeError(thrown);
  }
  if (exitCode === 0) return EXIT.ok;
  if (code === 'commander.help') return EXIT.usage; // a group without a command: its help has been written
  const text = String(message)
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
  return new RuntimeError('USAGE', text);
}

function debugStack(thrown: unknown, io: Io, error: RuntimeError): void {
  if (io.env.AGENT_RUNTIME_DEBUG !== '1') return;
  for (const one of [thrown, error.cause]) {
    if (one instanceof Error) process.stderr.write(`${one.stack ?? one.message}\n`);
  }
}

/** Runs one command line; never throws. */
export async function runCli(argv: readonly string[], io: Io): Promise<Exit> {
  let exit: Exit = EXIT.ok;
  try {
    await createProgram(io, (code) => {
      exit = code;
    }).parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (thrown) {
    const ended = usageError(thrown);
    if (!(ended instanceof RuntimeError)) return ended;
    io.printer(argv.includes('--json')).error(ended);
    debugStack(thrown, io, ended);
    return exitOf(ended);
  }
}
