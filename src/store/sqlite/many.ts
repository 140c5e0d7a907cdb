// Owns statements for several rows at once: one text for each number of rows, made when first needed.
import type { Connection, Statement } from './connection.ts';

export type StatementOf = (count: number) => Statement;

/** `textOf` gives the statement for so many rows. */
export function forMany(db: Connection, textOf: (count: number) => string): StatementOf {
  const made: Statement[] = [];
  return (count) => (made[count] ??= db.prepare(textOf(count)));
}

/** `part` so often, with commas between. */
export function repeated(part: string, count: number): string {
  return Array<string>(count).fill(part).join(', ');
}
