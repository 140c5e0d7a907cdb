// Owns what a check of health is: what it is made from, what it says, and how rows are counted for it.
import type { Clock } from '../base/clock.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { InventoryDrift } from '../kernel/catalog/drift.ts';
import type { ToolDirectory } from '../kernel/execution/executor.ts';
import type { RowKind, RowOrder, Store, StoredRow } from '../store/contract.ts';

export interface Check {
  check: string;
  status: 'fail' | 'warn' | 'ok';
  detail: string;
  action?: string;
  /** Of the check `inventory`: where inventory, catalog and pins differ. */
  inventory?: InventoryDrift;
}

export interface HealthDeps {
  config: RuntimeConfig;
  store: Store;
  directory: ToolDirectory;
  clock: Clock;
  /** Whether a variable is set; never its value. */
  hasEnv: (name: string) => boolean;
  /** Whether the process that holds a call still gives signs of life. */
  isAlive: (instance: string) => Promise<boolean>;
  drift: () => Promise<'same' | 'changed' | 'unreadable'>;
  /** Why a server cannot be used, as this process found; absent where it starts none. */
  failureOf?: (server: string) => string | undefined;
}

export function ok(check: string, detail: string): Check {
  return { check, status: 'ok', detail };
}

// More than this many are not counted: the number says enough, and health stays cheap.
const MOST_COUNTED = 1000;

export function counted(rows: readonly StoredRow[]): string {
  return rows.length >= MOST_COUNTED ? `${MOST_COUNTED} or more` : String(rows.length);
}

type Asked = { kind: RowKind; tenant: string; principal?: string; status: string };

async function rowsWith(store: Store, order: RowOrder, asked: Asked): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await store.list({ ...asked, order, limit: 200, ...from });
    rows.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && rows.length < MOST_COUNTED);
  return rows;
}

/** Of what should go on: what is stuck is the oldest. */
export function oldestWith(store: Store, asked: Asked): Promise<StoredRow[]> {
  return rowsWith(store, 'oldest', asked);
}

/** Of what is told for a while only. */
export function newestWith(store: Store, asked: Asked): Promise<StoredRow[]> {
  return rowsWith(store, 'newest', asked);
}

/** Rows of one status, and from which end of the list they are. */
export type Looked = readonly [RowOrder, readonly StoredRow[]];

/** What is said, and for each list that was cut from which end it was looked at. */
export function ofThose(detail: string, ...looked: readonly Looked[]): string {
  const cut = looked.flatMap(([order, rows]) => {
    const [first] = rows;
    if (first === undefined || rows.length < MOST_COUNTED) return [];
    return [`; of status ${first.status} only the ${order} ${MOST_COUNTED} were looked at`];
  });
  return [detail, ...cut].join('');
}

/** The same answer for everybody who asks. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}

const MOST_NAMED = 5;

/** The first few ids, and whether there are more. */
export function named(ids: readonly string[]): string {
  const some = ids.slice(0, MOST_NAMED);
  return `${some.join(', ')}${ids.length > some.length ? ' and more' : ''}`;
}

export const DAY_MS: number = 24 * 60 * 60_000;

export function minutes(ms: number): number {
  return Math.floor(Math.max(0, ms) / 60_000);
}
