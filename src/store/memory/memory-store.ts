// Owns a store that lives in the process: same judgement (plan.ts), same stored forms, nothing durable. For tests.
import { RuntimeError } from '../../base/errors.ts';
import { randomIds } from '../../base/ids.ts';
import type { Ids } from '../../base/ids.ts';
import { canonicalJson } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';
import type { ChainKey, Commit, CommitResult, Payload, Store, TenantKeys } from '../contract.ts';
import { checkPart } from '../cursor.ts';
import { erasureRecords, LASTING_TYPES } from '../erasure.ts';
import type { Erasure } from '../erasure.ts';
import { claimLease, releaseLease } from '../lease.ts';
import { checkCommit, checkName } from '../names.ts';
import { planCommit, resultOf } from '../plan.ts';
import { memoryTenantKeys } from '../sealing.ts';
import type { SealingTools } from '../sealing.ts';
import { retirementCommit } from '../segment.ts';
import type { Retirement } from '../segment.ts';
import { readHeader, readRecord, readSealed } from '../stored-record.ts';
import { createWaiters } from '../waiters.ts';
import type { Waiters } from '../waiters.ts';
import { listChains, listRows, oldestDue, scanRecords, takeTimers, toRow } from './memory-lists.ts';
import { chainOf, createMemoryState, keyOf, rowOf, viewOf, writePlan } from './memory-state.ts';
import type { MemoryState } from './memory-state.ts';

export interface MemoryOptions {
  keys?: TenantKeys;
  ids?: Ids;
}

interface Room {
  state: MemoryState;
  tools: SealingTools;
  waiters: Waiters;
  /** Throws once the store is closed. */
  open: () => void;
}

function runCommit({ state, tools, waiters, open }: Room, commit: Commit): CommitResult {
  open();
  checkCommit(commit);
  const planned = planCommit(commit, viewOf(state), tools);
  if (!planned.ok) return planned;
  writePlan(state, planned.plan, commit);
  waiters.wake();
  return resultOf(planned.plan);
}

function erase(room: Room, erasure: Omit<Erasure, 'seqs'> & { seqs: number[] | 'all' }): void {
  room.open();
  const held = chainOf(room.state, erasure.chain);
  if (held === undefined) throw new RuntimeError('NOT_FOUND');
  const targets = held.forms
    .filter(({ type }) => !LASTING_TYPES.includes(type))
    .filter(({ seq }) => erasure.seqs === 'all' || erasure.seqs.includes(seq));
  const appends = erasureRecords({ ...erasure, seqs: targets.map(({ seq }) => seq) });
  for (const form of targets) Object.assign(form, { salt: null, evidence: null, sealed: null });
  delete held.snapshot; // folded from what is now gone
  runCommit(room, { appends });
}

function openSealed(room: Room, chain: ChainKey, seq: number): Payload<JsonValue> {
  const held = chainOf(room.state, chain);
  const form = held?.forms[seq - 1 - held.removed];
  const header = form && readHeader(chain, form).header;
  if (header?.sealed === undefined) throw new RuntimeError('NOT_FOUND');
  return readSealed(header, form?.sealed, room.tools.keys.sealingKey(chain.tenant));
}

/** S7 */
function retire(room: Room, retirement: Retirement): boolean {
  room.open();
  const { chain, upTo } = retirement;
  const held = chainOf(room.state, chain);
  const last = held?.forms[upTo.seq - 1 - held.removed];
  if (held === undefined || last?.hash !== upTo.hash) return false;
  if (!runCommit(room, retirementCommit(retirement)).ok) return false;
  for (const form of held.forms.splice(0, upTo.seq - held.removed)) form.removed = true;
  held.removed = upTo.seq;
  delete held.snapshot;
  return true;
}

type WritingFace = Pick<
  Store,
  'commit' | 'erase' | 'retire' | 'saveSnapshot' | 'claim' | 'release' | 'claimTimers'
>;

function writingFace(room: Room): WritingFace {
  const { state, open } = room;
  return {
    commit: async (commit) => runCommit(room, commit),
    erase: async (chain, seqs, at, reason) => erase(room, { chain, seqs, at, reason }),
    retire: async (chain, upTo, at, closing) => retire(room, { chain, upTo, at, closing }),
    async saveSnapshot(chain, seq, hash, value) {
      open();
      const held = chainOf(state, chain);
      if (held === undefined || (held.snapshot?.seq ?? 0) > seq) return;
      held.snapshot = { seq, hash, text: canonicalJson(value) };
    },
    async claim(key, owner, now, ms) {
      open();
      checkName('key', key);
      checkName('owner', owner);
      const result = claimLease(state.leases.get(key), { key, owner, now, ms });
      if (result.ok) state.leases.set(key, { ...result.lease });
      return structuredClone(result);
    },
    async release(lease) {
      open();
      const after = releaseLease(state.leases.get(lease.key), lease);
      if (after !== undefined) state.leases.set(lease.key, after);
    },
    async claimTimers(...of) {
      const [, now, ms, limit, agent] = of;
      open();
      return takeTimers(state, { now, ms, limit, agent });
    },
  };
}

function readingFace(room: Room): Omit<Store, keyof WritingFace | 'close'> {
  const { state, open } = room;
  /** A read as the other engines give it: a throw is a rejection, and a closed store refuses. */
  const ask = async <T>(read: () => T): Promise<T> => {
    open();
    return read();
  };
  return {
    head: (chain) =>
      ask(() => {
        const end = chainOf(state, chain)?.end;
        return end && { chain, seq: end.seq, hash: end.hash };
      }),
    read: (chain, from = 1, limit) =>
      ask(() => {
        checkPart(from, limit);
        const { forms = [], removed = 0 } = chainOf(state, chain) ?? {};
        const first = Math.max(0, from - 1 - removed);
        return forms.slice(first, first + (limit ?? forms.length)).map((form) => readRecord(chain, form));
      }),
    unseal: (chain, seq) => ask(() => openSealed(room, chain, seq)),
    scan: (query) => ask(() => scanRecords(state, query)),
    chains: (query) => ask(() => listChains(state, query)),
    async changed(position, signal) {
      open();
      return room.waiters.wait(position, signal);
    },
    row: (kind, tenant, id) =>
      ask(() => {
        const row = rowOf(state, kind, tenant, id);
        return row && toRow(row);
      }),
    list: (query) => ask(() => listRows(state, query)),
    oldestDue: (...of) => ask(() => oldestDue(state, ...of)),
    counter: (key) => ask(() => state.counters.get(key) ?? 0),
    counters: (keys) => ask(() => keys.map((key) => state.counters.get(key) ?? 0)),
    snapshot: (chain) =>
      ask(() => {
        const found = chainOf(state, chain)?.snapshot;
        return found && { seq: found.seq, hash: found.hash, state: JSON.parse(found.text) as JsonValue };
      }),
    blob: (tenant, key) => ask(() => state.blobs.get(keyOf(tenant, key))?.slice()),
    report: () => ask(() => ({ engine: 'memory', schemaVersion: 1, damage: [], writable: true })),
    backup: async () => {
      throw new RuntimeError('STORE_UNAVAILABLE', 'A store in memory has no file to copy.');
    },
  };
}

/** An empty store in memory. */
export function createMemoryStore(options: MemoryOptions = {}): Store {
  const { ids = randomIds } = options;
  const state = createMemoryState();
  let isClosed = false;
  const room: Room = {
    state,
    tools: { ids, keys: options.keys ?? memoryTenantKeys(ids) },
    waiters: createWaiters(() => state.records.length),
    open() {
      if (isClosed) throw new RuntimeError('STORE_UNAVAILABLE', 'The store is closed.');
    },
  };
  return {
    ...writingFace(room),
    ...readingFace(room),
    async close() {
      isClosed = true;
      room.waiters.close();
    },
  };
}
