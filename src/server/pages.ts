// Owns the cutting of a list into pages: a cursor is the key of the last entry that was given, so a list that changes in
// between loses and repeats nothing that stands in both.
import { invalidParams } from './errors.ts';

const PAGE = 100;

export interface Page<T> {
  items: T[];
  nextCursor: { nextCursor?: string };
}

/** Keys are unique within the list. */
export function page<T>(all: readonly T[], keyOf: (item: T) => string, cursor: string | undefined): Page<T> {
  let from = 0;
  if (cursor !== undefined) {
    const after = Buffer.from(cursor, 'base64url').toString();
    from = all.findIndex((item) => keyOf(item) === after) + 1;
    if (from === 0) throw invalidParams('Unknown cursor; list from the start again');
  }
  const items = all.slice(from, from + PAGE);
  const last = items.at(-1);
  const isLast = last === undefined || from + PAGE >= all.length;
  return { items, nextCursor: isLast ? {} : { nextCursor: Buffer.from(keyOf(last)).toString('base64url') } };
}
