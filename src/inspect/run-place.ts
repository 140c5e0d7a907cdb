// Owns where a run lies and how it stands: one with a row of its own, or one that is a direct call and has only its request.
import type { EpochMs } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Store } from '../store/contract.ts';
import { rowAt } from './effective.ts';
import { newestRows } from './lists.ts';
import { mayRead, notFound } from './visible.ts';

export interface InspectParts {
  store: Store;
  now: EpochMs;
}

const DIRECT_STATUS: Readonly<Record<string, string>> = {
  done: 'success',
  tool_error: 'failed',
  waiting_approval: 'waiting_for_approval',
  unknown: 'blocked_on_reconciliation',
};

export interface RunPlace {
  session: string;
  state: JsonObject;
}

/** The run of a direct call, found by its request among the caller's newest. */
async function directRun({ store, now }: InspectParts, caller: Caller, id: string): Promise<RunPlace> {
  for await (const row of newestRows({ store, caller, now }, 'request')) {
    if (row.body.run_id !== id) continue;
    const { trace_id: trace, session_id: session } = row.body;
    const { status: stands } = await rowAt(store, row, now);
    const status = DIRECT_STATUS[stands] ?? stands;
    return {
      session: typeof session === 'string' ? session : '',
      state: { status, principal_id: row.principal, tenant_id: row.tenant, trace_id: trace ?? null },
    };
  }
  throw notFound('run', id);
}

/** Throws NOT_FOUND for a foreign or unknown one. */
export async function placeOfRun(parts: InspectParts, caller: Caller, id: string): Promise<RunPlace> {
  const row = await parts.store.row('run', caller.tenant, id);
  if (row === undefined) return directRun(parts, caller, id);
  if (!mayRead(caller, row)) throw notFound('run', id);
  return { session: row.ref ?? '', state: { status: row.status, ...row.body } };
}
