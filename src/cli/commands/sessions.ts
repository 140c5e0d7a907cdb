// Owns `sessions start`, `resume`, `cancel` and `snapshot`: governed sessions that outlive the command.
import { readFile } from 'node:fs/promises';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { parseJson } from '../../base/strict-json.ts';
import type { TurnInput, TurnMessage } from '../../pack/turn/contract.ts';
import { turnInputSchema } from '../../pack/turn/input.ts';
import { parseWith } from '../../base/parse.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { withRuntime } from '../with-runtime.ts';
import { printWork, progressOn } from '../work-view.ts';

export interface RunOptions extends CommonOptions {
  maxTurns?: number;
  background?: boolean;
}

export interface StartOptions extends RunOptions {
  message?: string;
  input?: string;
  model?: string;
  intent?: string;
  expiresAt?: string;
}

export interface ResumeOptions extends RunOptions {
  message?: string;
  acceptUnknown?: string[];
}

export function invocation({ maxTurns, background }: RunOptions): {
  max_turns_per_invocation?: number;
  background?: boolean;
} {
  if (maxTurns !== undefined && !(maxTurns >= 1 && maxTurns <= 1000)) {
    throw new RuntimeError('USAGE', '--max-turns must be 1 to 1000.');
  }
  return {
    ...(maxTurns === undefined ? {} : { max_turns_per_invocation: maxTurns }),
    ...(background === undefined ? {} : { background }),
  };
}

/** Without a mark at its beginning. Throws NOT_FOUND or INVALID_INPUT. */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch(() => {
    throw new RuntimeError('NOT_FOUND', `The file ${path} cannot be read.`, { path });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RuntimeError('INVALID_INPUT', `The file ${path} is not UTF-8 text.`, { path });
  }
}

/** The input in a file. Throws INVALID_INPUT with the name of the file. */
async function readInput(path: string): Promise<TurnInput> {
  const text = await readText(path);
  try {
    return parseWith<TurnInput>(turnInputSchema, parseJson(text));
  } catch (thrown) {
    const { code, message, details } = asRuntimeError(thrown);
    throw new RuntimeError(code, `${path}: ${message}`, { ...details, path });
  }
}

async function inputOf({ message, input, model, intent }: StartOptions): Promise<TurnInput> {
  if ((message === undefined) === (input === undefined)) {
    throw new RuntimeError('USAGE', 'Say what to do with --message TEXT or --input FILE, one of them.');
  }
  const given: TurnInput =
    input === undefined ? { messages: [{ role: 'user', content: message ?? '' }] } : await readInput(input);
  return {
    ...given,
    ...(model === undefined ? {} : { model_profile: model }),
    ...(intent === undefined ? {} : { intent }),
  };
}

export async function startSession(context: Context, options: StartOptions): Promise<Exit> {
  const { expiresAt } = options;
  const start = {
    execute_turn_input: await inputOf(options),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
    ...invocation(options),
  };
  const io = { progress: progressOn(context) };
  const answer = await withRuntime(context, ({ runtime, caller, signal }) =>
    runtime.startSession(caller, start, { ...io, signal }),
  );
  return printWork(context, 'sessions', answer);
}

export async function resumeSession(context: Context, id: string, options: ResumeOptions): Promise<Exit> {
  const { message, acceptUnknown } = options;
  const messages: TurnMessage[] = message === undefined ? [] : [{ role: 'user', content: message }];
  const resume = {
    session_id: id,
    ...(messages.length === 0 ? {} : { continuation_messages: messages }),
    ...(acceptUnknown === undefined ? {} : { accept_unknown: acceptUnknown }),
    ...invocation(options),
  };
  const answer = await withRuntime(context, ({ runtime, caller, signal }) =>
    runtime.resumeSession(caller, resume, { progress: progressOn(context), signal }),
  );
  return printWork(context, 'sessions', answer);
}

export interface CancelOptions extends CommonOptions {
  reason?: string;
}

/** For a session and a workflow alike: both are named by one handle. */
export async function cancelWork(context: Context, id: string, { reason }: CancelOptions): Promise<Exit> {
  const asked = { session_id: id, ...(reason === undefined ? {} : { reason }) };
  const done = await withRuntime(context, ({ runtime, caller }) => runtime.cancel(caller, asked));
  await context.print.result(done, () => `${id} is ${done.status}.`);
  return EXIT.ok;
}

export async function snapshotSession(context: Context, id: string): Promise<Exit> {
  const made = await withRuntime(context, ({ runtime, caller }) => runtime.rebuildSnapshot(caller, id));
  await context.print.result(made, () => `Written anew from the journal: ${made.file}`);
  return EXIT.ok;
}
