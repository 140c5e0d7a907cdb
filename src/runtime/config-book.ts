// Owns which configuration this workspace was last served with, which processes serve it, and what each of them said to
// the last request to take it anew. One row, moved in one commit with the records of the workspace's chain.
//
// B1  No configuration is taken by a process that serves unless the taking is on record.
// B2  A request is for exactly one digest: the one that was looked at when it was made.
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { allChains } from '../inspect/evidence.ts';
import type { Store } from '../store/contract.ts';

/** On the chain of the workspace. */
export const CONFIG_RECORDS = ['config_taken', 'config_reload_requested', 'config_reload_refused'] as const;
export type ConfigRecord = (typeof CONFIG_RECORDS)[number];

export interface ConfigDigests {
  digest: string;
  policy_digest: string;
}

export interface ReloadRequest extends ConfigDigests {
  id: string;
  /** The folder that was looked at; a process with another one is not asked. */
  directory: string;
  /** The principal who asked. */
  by: string;
}

export type ReloadAnswer = { request: string } & (
  { outcome: 'taken' | 'same' } | { outcome: 'refused'; code: ErrorCode; message: string }
);

export interface ServingProcess extends ConfigDigests {
  /** Its lease says whether it lives. */
  instance: string;
  directory: string;
  answer?: ReloadAnswer;
}

export interface ConfigBook {
  taken?: ConfigDigests;
  request?: ReloadRequest;
  serving: ServingProcess[];
}

export interface BookParts {
  store: Store;
  clock: Clock;
  tenant: string;
}

export interface BookMove {
  book: ConfigBook;
  record?: { type: ConfigRecord; evidence: JsonObject };
}

const ID = 'configuration';
const MOST_TRIES = 50;

export function digestsOf({ digest, policy }: RuntimeConfig): ConfigDigests {
  return { digest, policy_digest: policy.digest };
}

export async function readBook({ store, tenant }: BookParts): Promise<ConfigBook> {
  const row = await store.row('process', tenant, ID);
  return row === undefined ? { serving: [] } : (row.body as unknown as ConfigBook);
}

/**
 * A process keeps its book under the tenant of its own start, and whatever it wrote there lies on that tenant's chain: so all
 * of the workspace's books are found, whatever the files say of the tenant by now.
 */
export async function booksOf({ store, clock }: Pick<BookParts, 'store' | 'clock'>): Promise<BookParts[]> {
  const books: BookParts[] = [];
  for await (const { chain } of allChains(store, { aggregate: 'workspace' })) {
    books.push({ store, clock, tenant: chain.tenant });
  }
  return books;
}

/** Undefined from `move`: nothing is to be written. Rejects with STORE_UNAVAILABLE when it could not be. */
export async function moveBook(
  { store, clock, tenant }: BookParts,
  move: (book: ConfigBook) => BookMove | undefined,
): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const row = await store.row('process', tenant, ID);
    const moved = move(row === undefined ? { serving: [] } : (row.body as unknown as ConfigBook));
    if (moved === undefined) return;
    const at = clock.now();
    const { book, record } = moved;
    const body = book as unknown as JsonObject;
    const chain = { tenant, aggregate: 'workspace', id: 'workspace' } as const;
    const written = await store.commit({
      appends: record === undefined ? [] : [{ chain, when: { epoch: 0 }, at, ...record }],
      rows: [
        {
          row: { kind: 'process', tenant, id: ID, principal: ID, status: 'current', updatedAt: at, body },
          when: row === undefined ? 'absent' : { version: row.version },
        },
      ],
    });
    if (written.ok) return;
    if (written.refused !== 'row') break;
  }
  throw new RuntimeError('STORE_UNAVAILABLE');
}

/** The book with one process as it is now; undefined removes it. */
export function withServing(
  book: ConfigBook,
  instance: string,
  now: ServingProcess | undefined,
): ServingProcess[] {
  const others = book.serving.filter((one) => one.instance !== instance);
  return now === undefined ? others : [...others, now];
}

function takenEvidence(
  from: ConfigDigests | undefined,
  to: ConfigDigests,
  how: { how: 'start' | 'reload'; by: string; instance: string; request?: string },
): JsonObject {
  return {
    ...how,
    from_digest: from?.digest ?? null,
    to_digest: to.digest,
    from_policy_digest: from?.policy_digest ?? null,
    to_policy_digest: to.policy_digest,
  };
}

/** A process begins to serve. That is a taking where the workspace was served with another configuration before. */
export function startServing(
  parts: BookParts,
  own: ServingProcess,
  { by, gone }: { by: string; gone: ReadonlySet<string> },
): Promise<void> {
  const { digest, policy_digest, instance } = own;
  const to = { digest, policy_digest };
  return moveBook(parts, ({ serving, taken, ...book }) => {
    const alive = serving.filter((one) => !gone.has(one.instance));
    const evidence = takenEvidence(taken, to, { how: 'start', by, instance });
    return {
      book: { ...book, taken: to, serving: [...alive, own] },
      ...(taken?.digest === digest ? {} : { record: { type: 'config_taken', evidence } }),
    };
  });
}

/** B1: in one commit, that this process has another configuration from now on. */
export function takeConfig(
  parts: BookParts,
  { was, now, request }: { was: ServingProcess; now: ConfigDigests; request: ReloadRequest },
): Promise<void> {
  const { instance } = was;
  const evidence = takenEvidence(was, now, { how: 'reload', by: request.by, instance, request: request.id });
  return moveBook(parts, (book) => {
    const own: ServingProcess = { ...was, ...now, answer: { request: request.id, outcome: 'taken' } };
    return {
      book: { ...book, taken: now, serving: withServing(book, instance, own) },
      record: { type: 'config_taken', evidence },
    };
  });
}

/** What a process says to a request that changes nothing in it; a refusal is on record. */
export function answerRequest(parts: BookParts, was: ServingProcess, answer: ReloadAnswer): Promise<void> {
  const { instance, digest } = was;
  return moveBook(parts, (book) => ({
    book: { ...book, serving: withServing(book, instance, { ...was, answer }) },
    ...(answer.outcome === 'refused'
      ? {
          record: {
            type: 'config_reload_refused' as const,
            evidence: { request: answer.request, instance, digest, code: answer.code },
          },
        }
      : {}),
  }));
}

export function requestReload(parts: BookParts, request: ReloadRequest): Promise<void> {
  const { id, by, digest, policy_digest } = request;
  return moveBook(parts, (book) => ({
    book: { ...book, request },
    record: {
      type: 'config_reload_requested',
      evidence: { request: id, by, digest, policy_digest, from_digest: book.taken?.digest ?? null },
    },
  }));
}
