// Owns asking a person. Questions go to a real terminal only, never to standard output of a command that prints JSON.
import { confirm as askConfirm, isCancel, multiselect, select, text as askText } from '@clack/prompts';
import type { Context } from './context.ts';

interface Terminal {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
}

/** undefined unless a person can both read the question and type the answer here. */
export function findTerminal(): Terminal | undefined {
  if (!process.stdin.isTTY) return undefined;
  if (process.stderr.isTTY) return { input: process.stdin, output: process.stderr };
  return process.stdout.isTTY ? { input: process.stdin, output: process.stdout } : undefined;
}

export async function confirm(terminal: Terminal, message: string): Promise<boolean> {
  const said = await askConfirm({ ...terminal, message, initialValue: false });
  return !isCancel(said) && said;
}

export interface Choosable {
  value: string;
  hint: string;
  chosen: boolean;
}

/** The values that stay chosen; undefined: the person left without answering. */
export async function chooseSome(
  terminal: Terminal,
  message: string,
  from: readonly Choosable[],
): Promise<string[] | undefined> {
  const said = await multiselect<string>({
    ...terminal,
    message,
    required: false,
    options: from.map(({ value, hint }) => ({ value, hint })),
    initialValues: from.filter(({ chosen }) => chosen).map(({ value }) => value),
  });
  return isCancel(said) ? undefined : said;
}

export type Choice = 'approve' | 'reject';

/** undefined: the person left without answering. */
export async function askDecision(
  terminal: Terminal,
  initial: Choice | undefined,
): Promise<Choice | undefined> {
  const said = await select<Choice | 'leave'>({
    ...terminal,
    message: 'Your answer',
    initialValue: initial ?? 'leave',
    options: [
      { value: 'leave', label: 'Leave it open' },
      { value: 'approve', label: 'Approve', hint: 'the call may run once, exactly as shown' },
      { value: 'reject', label: 'Reject' },
    ],
  });
  return isCancel(said) || said === 'leave' ? undefined : said;
}

/** undefined: left without answering. */
export async function askNote(terminal: Terminal, initial: string | undefined): Promise<string | undefined> {
  const said = await askText({
    ...terminal,
    message: 'A note for the record (may be empty)',
    ...(initial === undefined ? {} : { initialValue: initial }),
    validate: (value) => ((value ?? '').length > 2000 ? 'At most 2000 characters.' : undefined),
  });
  return isCancel(said) ? undefined : said;
}

/** Shows text on the terminal that is asked, whatever --json says. */
export function showOn(terminal: Terminal, text: string, context: Context): void {
  terminal.output.write(`${context.print.json ? '' : '\n'}${text}\n\n`);
}
