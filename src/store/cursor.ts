// Owns the opaque cursors of pages and the limits of a page.
import { RuntimeError } from '../base/errors.ts';
import type { Page } from './contract.ts';

export const LARGEST_PAGE = 200;
export const LARGEST_SCAN = 10_000;

/** `[updatedAt, id]` of the last row of a page. */
export type RowCursor = [at: number, id: string];

export function encodeCursor(cursor: RowCursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

export function decodeCursor(cursor: string): RowCursor {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  if (!Array.isArray(value) || value.length !== 2) return refuseCursor();
  const [at, id] = value as unknown[];
  if (typeof at !== 'number' || typeof id !== 'string' || id.includes('\0')) return refuseCursor();
  return [at, id];
}

/** The number behind a cursor of `chains`. */
export function decodeOrdinal(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  return /^[0-9]{1,15}$/.test(cursor) ? Number(cursor) : refuseCursor();
}

function refuseCursor(): never {
  throw new RuntimeError('INVALID_INPUT', 'The cursor is not one that a page returned.', {
    field: '/cursor',
  });
}

/** Refuses a page size that is not a whole number from 1 to `max`. */
export function checkLimit(limit: number, max: number): void {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= max) return;
  throw new RuntimeError('INVALID_INPUT', `limit must be from 1 to ${max}`, { field: '/limit' });
}

/** Refuses a part of a chain that does not begin at a record or has no length; `limit` undefined = to the end. */
export function checkPart(from: number, limit: number | undefined): void {
  if (!Number.isSafeInteger(from) || from < 1) {
    throw new RuntimeError('INVALID_INPUT', 'from must be a whole number from 1', { field: '/from' });
  }
  if (limit !== undefined) checkLimit(limit, Number.MAX_SAFE_INTEGER);
}

/** A page from up to `limit + 1` found items: the one too many shows that there is more. */
export function makePage<T>(found: T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return found.length > limit && last !== undefined ? { items, nextCursor: cursorOf(last) } : { items };
}
