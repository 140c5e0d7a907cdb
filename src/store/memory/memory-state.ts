// Owns what a memory store holds, and the writing of a plan into it. Values are kept as text, so that no caller shares
// an object with the store.
import { chainLeaseKey } from '../contract.ts';
import type { ChainKey, Commit, Lease, Row, RowKind } from '../contract.ts';
import type { ChainEnd, ChainMove, Plan, View } from '../plan.ts';
import type { StoredForm } from '../stored-record.ts';

export interface MemoryForm extends StoredForm {
  chain: ChainKey;
  type: string;
  removed?: true;
  sealed: Uint8Array | null;
}

export interface MemoryChain {
  chain: ChainKey;
  end: ChainEnd;
  /** Those after `removed`, in order. */
  forms: MemoryForm[];
  /** How many records were removed from its beginning. */
  removed: number;
  snapshot?: { seq: number; hash: string; text: string };
}

export type MemoryRow = Omit<Row, 'body'> & { body: string; version: number };

export interface MemoryTimer {
  tenant: string;
  id: string;
  dueAt: number;
  readyAt: number;
  epoch: number;
  payload: string;
}

export interface MemoryState {
  /** In order of birth; the handle of a chain is its number. */
  chains: Map<string, MemoryChain>;
  /** All records; index + 1 is the position. */
  records: MemoryForm[];
  rows: Map<string, MemoryRow>;
  counters: Map<string, number>;
  leases: Map<string, Lease>;
  timers: Map<string, MemoryTimer>;
  blobs: Map<string, Uint8Array>;
}

export function createMemoryState(): MemoryState {
  return {
    chains: new Map(),
    records: [],
    rows: new Map(),
    counters: new Map(),
    leases: new Map(),
    timers: new Map(),
    blobs: new Map(),
  };
}

/** NUL joins, because no name holds it. */
export function keyOf(...parts: string[]): string {
  return parts.join('\0');
}

export function chainOf(state: MemoryState, chain: ChainKey): MemoryChain | undefined {
  return state.chains.get(chainLeaseKey(chain));
}

export function rowOf(state: MemoryState, kind: RowKind, tenant: string, id: string): MemoryRow | undefined {
  return state.rows.get(keyOf(kind, tenant, id));
}

export function viewOf(state: MemoryState): View {
  return {
    chainEnd: (chain) => chainOf(state, chain)?.end,
    leaseEpoch: (chain) => state.leases.get(chainLeaseKey(chain))?.epoch ?? 0,
    counter: (key) => state.counters.get(key) ?? 0,
    rowVersion: (kind, tenant, id) => rowOf(state, kind, tenant, id)?.version,
  };
}

function writeMove(state: MemoryState, { chain, end, records }: ChainMove): void {
  let held = chainOf(state, chain);
  if (held === undefined) {
    held = { chain: { ...chain }, end, forms: [], removed: 0 };
    state.chains.set(chainLeaseKey(chain), held);
  }
  held.end = { ...end, handle: held.end.handle === 0 ? state.chains.size : held.end.handle };
  for (const record of records) {
    const form: MemoryForm = { ...record, chain: held.chain, position: state.records.length + 1 };
    state.records.push(form);
    held.forms.push(form);
  }
}

/** Writes a whole plan; nothing in here can fail half-way (S1). */
export function writePlan(state: MemoryState, plan: Plan, commit: Commit): void {
  for (const move of plan.chains) writeMove(state, move);
  for (const { row, version } of plan.rows) {
    const { kind, tenant, id } = row;
    state.rows.set(keyOf(kind, tenant, id), { ...row, body: JSON.stringify(row.body), version });
  }
  for (const [key, value] of plan.counters) state.counters.set(key, value);
  for (const { tenant, id, dueAt, payload } of commit.timers ?? []) {
    const epoch = state.timers.get(keyOf(tenant, id))?.epoch ?? 0;
    const timer = { tenant, id, dueAt, readyAt: dueAt, epoch, payload: JSON.stringify(payload) };
    state.timers.set(keyOf(tenant, id), timer);
  }
  for (const { tenant, id } of commit.cancelTimers ?? []) state.timers.delete(keyOf(tenant, id));
  for (const { tenant, key, bytes } of commit.blobs ?? []) {
    if (!state.blobs.has(keyOf(tenant, key))) state.blobs.set(keyOf(tenant, key), bytes.slice());
  }
}
