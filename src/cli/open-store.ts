// Owns opening the workspace's journal for a command that starts no capability. Looking makes no file.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../base/errors.ts';
import type { ChainSource } from '../inspect/evidence.ts';
import type { Store } from '../store/contract.ts';
import { fileTenantKeys } from '../store/sealing.ts';
import { readSqliteChains } from '../store/sqlite/open-reader.ts';
import { openSqliteStore } from '../store/sqlite/open.ts';
import { assertStateOutside } from './context.ts';
import type { Context } from './context.ts';

export function storePath(context: Context): string {
  return join(context.workspace, '.agent-runtime', 'runtime.db');
}

/** A place that may not be looked at is not an empty one: throws what the system says. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The journal for as long as `work` takes; undefined to it when this workspace has none yet. */
export async function withStoreIfAny<T>(
  context: Context,
  work: (store: Store | undefined) => Promise<T>,
): Promise<T> {
  assertStateOutside(context);
  const path = storePath(context);
  if (!isThere(path)) return work(undefined);
  const { clock, ids } = context;
  const keys = fileTenantKeys(join(context.stateDirectory, 'keys'));
  const store = await openSqliteStore({ path, keys, clock, ids });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function noJournal(context: Context): RuntimeError {
  return new RuntimeError('NOT_FOUND', `The workspace ${context.workspace} has no journal yet.`, {
    path: storePath(context),
  });
}

/** The same, where there must be one. Throws NOT_FOUND. */
export function withStore<T>(context: Context, work: (store: Store) => Promise<T>): Promise<T> {
  return withStoreIfAny(context, (store) => {
    if (store !== undefined) return work(store);
    throw noJournal(context);
  });
}

/** The chains of the journal as they lie on disk; nothing is written, whoever else has the journal open. Throws NOT_FOUND. */
export async function readJournal<T>(
  context: Context,
  work: (chains: ChainSource) => Promise<T>,
): Promise<T> {
  const path = storePath(context);
  if (!isThere(path)) throw noJournal(context);
  return readSqliteChains(path, work);
}
