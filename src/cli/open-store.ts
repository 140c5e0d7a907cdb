// Owns opening the workspace's journal for a command that starts no capability. Looking makes no file.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../base/errors.ts';
import type { Store } from '../store/contract.ts';
import { fileTenantKeys } from '../store/sealing.ts';
import { openSqliteStore } from '../store/sqlite/open.ts';
import { assertStateOutside } from './context.ts';
import type { Context } from './context.ts';

export function storePath(context: Context): string {
  return join(context.workspace, '.agent-runtime', 'runtime.db');
}

/** The journal for as long as `work` takes; undefined to it when this workspace has none yet. */
export async function withStoreIfAny<T>(
  context: Context,
  work: (store: Store | undefined) => Promise<T>,
): Promise<T> {
  assertStateOutside(context);
  const path = storePath(context);
  if (!existsSync(path)) return work(undefined);
  const { clock, ids } = context;
  const keys = fileTenantKeys(join(context.stateDirectory, 'keys'));
  const store = await openSqliteStore({ path, keys, clock, ids });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same, where there must be one. Throws NOT_FOUND. */
export function withStore<T>(context: Context, work: (store: Store) => Promise<T>): Promise<T> {
  return withStoreIfAny(context, (store) => {
    if (store !== undefined) return work(store);
    throw new RuntimeError('NOT_FOUND', `The workspace ${context.workspace} has no journal yet.`, {
      path: storePath(context),
    });
  });
}
