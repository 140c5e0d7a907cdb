// Owns what a command writes: one JSON document or text for a person on standard output, remarks and errors on standard
// error. Whatever comes from outside is escaped here, so no command can forget it.
import { styleText } from 'node:util';
import { ERRORS } from '../base/errors.ts';
import type { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import { showCut, showHidden } from '../base/text.ts';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

export interface Printer {
  readonly json: boolean;
  /** The result: `value` with --json, else the text. */
  result(value: unknown, text: () => string | Promise<string>): Promise<void>;
  /** A remark for a person; not written with --json. */
  remark(text: string): void;
  error(error: RuntimeError): void;
  style(style: Style, text: string): string;
}

export interface PrinterOptions {
  json: boolean;
  /** Whether text may carry colours. */
  color: boolean;
  /** Resolves when it may go on. */
  write: (text: string) => Promise<void>;
  writeError: (text: string) => void;
}

const LONGEST_CELL = 72;

/** As JSON writes it: one escape for each half of a surrogate pair. */
function escaped(char: string): string {
  const units = Array.from({ length: char.length }, (_, at) => char.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** The same JSON, with what is hidden in its texts written as escapes. */
export function shownJson(text: string): string {
  if (showHidden(text) === text) return text;
  return Array.from(text, (char) => (showHidden(char) === char ? char : escaped(char))).join('');
}

/** JSON that parses to the same value and shows nothing hidden to a terminal. */
export function safeJson(value: unknown, indent?: number): string {
  return shownJson(JSON.stringify(value, null, indent));
}

/** One line, nothing hidden. */
export function cell(value: unknown, max: number = LONGEST_CELL): string {
  if (value === undefined || value === null) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return showCut(text.replaceAll('\n', '\\n').replaceAll('\t', '\\t'), max);
}

/** Columns of the terminal that is written to; without one nothing is wrapped or left out. */
function screenWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

/** How many of the columns, from the first, fit on one line of the screen; at least one. */
function fitting(heads: readonly string[], rows: readonly string[][]): number {
  let used = 0;
  for (let at = 0; at < heads.length; at++) {
    used += Math.max(...[heads, ...rows].map((row) => (row[at] ?? '').length)) + (at === 0 ? 0 : 2);
    if (used > screenWidth()) return Math.max(1, at);
  }
  return heads.length;
}

/** A table whose last columns are left out where the screen is too narrow; they stand in `show` and in --json. */
export function listTable(heads: readonly string[], rows: readonly unknown[][]): Promise<string> {
  const cells = rows.map((row) => row.map((value) => cell(value)));
  const kept = fitting(heads, cells);
  return table(
    heads.slice(0, kept),
    cells.map((row) => row.slice(0, kept)),
  );
}

/** Rows under their heads, without borders; longer cells are cut. */
export async function table(
  heads: readonly string[],
  rows: readonly unknown[][],
  longest: number = LONGEST_CELL,
): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const none = ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'] as const;
  const rest = [
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ] as const;
  const made = new Table({
    head: [...heads],
    chars: { ...Object.fromEntries([...none, ...rest].map((name) => [name, ''])), middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  made.push(...rows.map((row) => row.map((value) => cell(value, longest))));
  return trimEnds(made.toString());
}

const NARROWEST_TEXT = 40;

/**
 * Rows whose last column is a text: where it does not fit beside the others, it goes on below them, broken to the width
 * of the screen.
 */
export async function textTable(
  heads: readonly string[],
  rows: readonly unknown[][],
  longest: number,
): Promise<string> {
  const cells = rows.map((row) =>
    row.map((value, at) => cell(value, at === heads.length - 1 ? longest : undefined)),
  );
  const widths = heads.map((head, at) =>
    Math.max(head.length, ...cells.map((row) => (row[at] ?? '').length)),
  );
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const room = screenWidth() - before;
  if ((widths.at(-1) ?? 0) <= room) return table(heads, rows, longest);
  const isBeside = room >= NARROWEST_TEXT;
  const indent = ' '.repeat(isBeside ? before : 4);
  const lines = [heads, ...cells].flatMap((row) => {
    const first = row
      .slice(0, -1)
      .map((text, at) => text.padEnd((widths[at] ?? 0) + 2))
      .join('');
    const text = wrapped(row.at(-1) ?? '', screenWidth() - indent.length);
    const [beside = '', ...below] = isBeside ? text : ['', ...text];
    return [`${first}${beside}`, ...below.map((line) => `${indent}${line}`)];
  });
  return trimEnds(lines.filter((line) => line.trim() !== '').join('\n'));
}

/** One value as lines: an item of a list, or a key of an object, on a line of its own. */
function linesOf(value: unknown): string[] {
  if (value === '' || value === null || value === undefined) return ['-'];
  if (Array.isArray(value)) return value.length === 0 ? ['-'] : value.flatMap((one) => pairsOf(one));
  if (!isObject(value)) return [cell(value, 2000)];
  const entries = Object.entries(value);
  return entries.length === 0 ? ['-'] : entries.map(([key, one]) => `${cell(key)}: ${cell(one, 2000)}`);
}

/** An item of a list on one line: an object as `key=value`. */
function pairsOf(value: unknown): string[] {
  if (!isObject(value)) return [cell(value, 2000)];
  return [
    Object.entries(value)
      .map(([key, one]) => `${cell(key)}=${cell(one, 500)}`)
      .join(' '),
  ];
}

/** Breaks a line at blanks, or where there is none, so that it fits. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > width / 2 ? blank : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

const NARROWEST_VALUE = 20;

/** `name  value` lines; what does not fit on the screen goes on under its beginning. */
export function facts(pairs: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  const room = Math.max(NARROWEST_VALUE, screenWidth() - width - 2);
  return pairs
    .flatMap(([name, value]) =>
      linesOf(value)
        .flatMap((line) => wrapped(line, room))
        .map((line, at) => `${(at === 0 ? name : '').padEnd(width)}  ${line}`),
    )
    .join('\n');
}

function trimEnds(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function problemLines({ message, details }: RuntimeError): string[] {
  const { problems } = details;
  if (!Array.isArray(problems)) return [];
  const texts = problems.filter(isObject).map((one) => {
    const place = `${String(one.file)}:${String(one.line)}:${String(one.column)}`;
    return `${place} ${String(one.path)}: ${String(one.message)}`;
  });
  // The sentence of an error with one problem is that problem.
  return texts.length === 1 && texts[0] === message ? [] : texts.map((text) => `  ${cell(text, 1000)}`);
}

/** Code, sentence, every problem of a configuration, remedy. Never a stack. */
function errorText(error: RuntimeError, style: Printer['style']): string {
  const lines = [
    `${style('red', `error ${error.code}`)}: ${showHidden(error.message)}`,
    ...problemLines(error),
  ];
  return [...lines, `${style('bold', 'what to do')}: ${ERRORS[error.code].remedy}`].join('\n');
}

export function createPrinter(options: PrinterOptions): Printer {
  const { json, color, write, writeError } = options;
  const style: Printer['style'] = (name, text) =>
    color ? styleText(name, text, { validateStream: false }) : text;
  return {
    json,
    style,
    async result(value, text) {
      await write(`${json ? safeJson(value, 2) : await text()}\n`);
    },
    remark(text) {
      if (!json) writeError(`${text}\n`);
    },
    error(error) {
      writeError(`${json ? safeJson({ error: error.view() }, 2) : errorText(error, style)}\n`);
    },
  };
}
