// Owns what a command is before it runs: its words, its flags, and where its code lies.
import { Option } from 'commander';
import type { Context } from './context.ts';
import type { Exit } from './exits.ts';

export type Handler = (context: Context, options: never, ...args: string[]) => Promise<Exit>;

export interface Leaf {
  /** With its arguments, as commander takes them: `show <id>`. */
  name: string;
  summary: string;
  example: string;
  /** More for the help page. */
  notes?: string;
  options?: Option[];
  load: () => Promise<Handler>;
}

export function option(flags: string, description: string): Option {
  return new Option(flags, description);
}

/** NaN for anything but a whole number of at most six digits; the command says what it may be. */
export function count(text: string): number {
  return /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
}

/** For a flag that may be given more than once. */
export function collect(one: string, all: string[] | undefined): string[] {
  return [...(all ?? []), one];
}
