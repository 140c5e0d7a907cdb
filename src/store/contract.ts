// Owns the words of durable state: chains of records, one atomic commit, reads, leases, timers, blobs. No engine words.
//
// S1  A commit is all or nothing, over any number of chains, and is durable when its promise resolves, unless it asked to
//     be answered earlier (CommitFlush).
// S2  The engine reads each chain's head inside the transaction, assigns seq and hash there; callers never cache a head.
// S3  `when.seq` appends only if the head is exactly there; `when.epoch` appends at any head, refused only when a newer
//     lease epoch exists for the chain. So a session's steps may conflict, and tool calls commute.
// S4  A record's hash covers its header and a salted commitment to each payload; payloads lie beside it and can be
//     erased (itself a record), after which the chain still verifies.
// S5  Stored bytes are the hashed bytes.
// S6  A guard that does not hold, a counter past its max, or a row not at its expected version refuses the whole commit
//     and says which.
// S7  The beginning of a chain can be removed, in one commit with the record that vouches for it; what is left still has
//     its seqs and hashes. Nothing else removes a record.
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { EpochMs } from '../base/clock.ts';
import type { Series } from '../base/series.ts';

export type Aggregate =
  'session' | 'approval' | 'capability_session' | 'instance' | 'principal' | 'workspace';

export interface ChainKey {
  tenant: string;
  aggregate: Aggregate;
  id: string;
}

/** The type of the record that vouches for a removal (S7), on the tenant's workspace chain; never erased. */
export const SEGMENT_TYPE = 'segment_closed';

/**
 * The type of the record of an erasure (S4), never erased either. It stands on the tenant's workspace chain, which is never cut,
 * and on the chain whose payloads went: its head moves, so that whoever holds something of it in memory reads it anew.
 */
export const ERASED_TYPE = 'payload_erased';

/** The key of the lease that fences a chain: an append with `when.epoch` is judged against this lease (S3). */
export function chainLeaseKey(chain: ChainKey): string {
  return `${encodeURIComponent(chain.tenant)}/${chain.aggregate}/${encodeURIComponent(chain.id)}`;
}

export interface Append {
  chain: ChainKey;
  /** seq: the number of records the chain has now (0 = none). epoch: the writer's lease epoch (0 = no lease needed). */
  when: { seq: number } | { epoch: number };
  /** Past tense, snake_case: `call_started`. */
  type: string;
  at: EpochMs;
  /** Redacted and exportable. */
  evidence: JsonObject;
  /** Exactly what is needed to run or resume; encrypted at rest with the tenant's key. */
  sealed?: JsonValue;
}

/** The hashed header of a record. `prev` is the hash of the record before, or 64 zeros. */
export interface RecordHeader {
  v: 1;
  chain: ChainKey;
  seq: number; // 1-based
  type: string;
  at: EpochMs;
  epoch: number;
  evidence: string; // commitment: sha256(salt + ':' + text), hex
  sealed?: string; // commitment over the plain text
  prev: string;
}

export type Payload<T> = { state: 'present'; value: T } | { state: 'erased' } | { state: 'unreadable' };

export interface StoredRecord {
  header: RecordHeader;
  hash: string;
  /** Position in the store's one total order of arrival; for cursors, not evidence. */
  position: number;
  evidence: Payload<JsonObject>;
  /** Salt and exact bytes of the evidence payload, for verification; absent when erased. */
  evidenceBytes?: { salt: string; text: string };
}

export type RowKind =
  | 'session'
  | 'request'
  | 'approval'
  | 'capability'
  | 'capability_session'
  | 'item'
  | 'idempotency'
  | 'grant'
  | 'process'
  | 'run'
  | 'queue'
  | 'segment';

/** A read-model row: a document with an indexed status, owner and time; re-derivable from the chains. */
export interface Row {
  kind: RowKind;
  tenant: string;
  id: string;
  principal: string;
  status: string;
  /** Free secondary key, e.g. the session of a request or the digest of an approval. */
  ref?: string;
  updatedAt: EpochMs;
  /** Nobody changes it once it has been handed over. */
  body: JsonObject;
}

export interface RowWrite {
  row: Row;
  /** absent: must not exist; version: must be at this version; any (default): no condition. */
  when?: 'absent' | { version: number } | 'any';
}

export interface StoredRow extends Row {
  version: number;
}

/** Adds `add` to a counter if the sum stays ≤ max (max absent: no bound). Keys begin with the tenant. */
export interface CounterMove {
  key: string;
  add: number;
  max?: number;
}

/** Refuses the commit unless the counter `key` has exactly this value now. */
export interface Guard {
  key: string;
  is: number;
}

export interface TimerWrite {
  tenant: string;
  id: string;
  dueAt: EpochMs;
  /** `agent_id` names the agent that it is for; absent: any. */
  payload: JsonObject;
}

/** Content over 16 KiB. What stands under a key never changes; that of a result is named by the digest of its encrypted bytes. */
export interface BlobWrite {
  tenant: string;
  key: string;
  bytes: Uint8Array;
}

export interface Commit {
  appends?: Append[];
  rows?: RowWrite[];
  counters?: CounterMove[];
  guards?: Guard[];
  timers?: TimerWrite[];
  /** After `timers`: one that is in both is gone. */
  cancelTimers?: { tenant: string; id: string }[];
  blobs?: BlobWrite[];
  flush?: CommitFlush | undefined;
  /** Who is answered by `flush`, and settles before anybody else hears of it (Y1). */
  series?: Series | undefined;
  /** What this builds on: once any of it is undone, the commit rejects with what undid it (Y2). */
  after?: Series | undefined;
}

/**
 * When a commit is answered. Default: when it is on disk. Whoever reads waits for the disk in any case.
 *
 * `behind`: once it is in the log, which no end of a process undoes; it is on disk with the next commit, or a few
 * milliseconds later, and until then a loss of power can undo it. For what is followed by nothing that cannot be done again.
 *
 * `with_next`: once it is judged and written, in a transaction that takes what this process commits next with it and ends
 * with the turn of the event loop; then as `behind`. Until then the end of the process
 * undoes it too. For what nothing outside of this process follows.
 */
export type CommitFlush = 'behind' | 'with_next';

/** An outcome that a series may be told before it is on disk. Nobody but a series is ever. */
export function toldTo<T extends Commit>(series: Series | undefined, commit: T): T {
  if (series === undefined) return commit;
  commit.flush = 'with_next';
  commit.series = series;
  return commit;
}

export interface Head {
  chain: ChainKey;
  seq: number;
  hash: string;
}

export type CommitResult =
  | { ok: true; heads: Head[]; counters: ReadonlyMap<string, number> }
  | { ok: false; refused: 'conflict'; chain: ChainKey; head: number }
  | { ok: false; refused: 'fenced'; chain: ChainKey; epoch: number }
  | { ok: false; refused: 'counter'; key: string; value: number; max: number }
  | { ok: false; refused: 'guard'; key: string; value: number }
  | { ok: false; refused: 'row'; kind: RowKind; id: string; version: number | undefined };

export type RowOrder = 'newest' | 'oldest';

export interface RowQuery {
  kind: RowKind;
  tenant: string;
  principal?: string;
  status?: string;
  ref?: string;
  limit: number; // ≤ 200
  /** By `updatedAt`, the newest first unless said otherwise; one order is the other one backwards. */
  order?: RowOrder;
  /** From the last page of the same query. */
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  nextCursor?: string;
}

export interface Lease {
  key: string;
  owner: string;
  /** Rises by one at each change of owner; the fence. */
  epoch: number;
  until: EpochMs;
}

export interface Timer extends TimerWrite {
  epoch: number;
}

export interface StoreReport {
  engine: string;
  schemaVersion: number;
  /** Damaged or unreadable items found so far; each affects its own chain only. */
  damage: { chain?: ChainKey; what: string }[];
  writable: boolean;
}

/** One durable store of one workspace. Every method rejects with STORE_UNAVAILABLE when the engine cannot answer. */
export interface Store {
  /** S1-S6. A refusal is a value; a rejection means the commit did not happen. */
  commit(commit: Commit): Promise<CommitResult>;
  /** With a series it does not wait for the disk: the series does (Y1). */
  head(chain: ChainKey, series?: Series): Promise<Head | undefined>;
  /** Records of one chain in order, from seq `from` (1-based, inclusive); removed ones (S7) are passed over. */
  read(chain: ChainKey, from?: number, limit?: number): Promise<StoredRecord[]>;
  /** The sealed payload of one record, decrypted. */
  unseal(chain: ChainKey, seq: number): Promise<Payload<JsonValue>>;
  /** Erases payloads (S4) and records it on the workspace chain of the tenant and on the chain itself, in one commit. */
  erase(chain: ChainKey, seqs: number[] | 'all', at: EpochMs, reason: string): Promise<void>;
  /**
   * S7: removes the records of a chain up to `upTo`, with their payloads and its snapshot, in one transaction with `closing`.
   * False: the chain has no such record, or `closing` was refused; nothing has changed.
   */
  retire(
    chain: ChainKey,
    upTo: { seq: number; hash: string },
    at: EpochMs,
    closing: Commit,
  ): Promise<boolean>;
  /** Records of one type (or all) over all chains of a tenant, in position order after the cursor. */
  scan(query: { tenant?: string; type?: string; after?: number; limit: number }): Promise<StoredRecord[]>;
  /** Chains of a tenant (or all). */
  chains(query: {
    tenant?: string;
    aggregate?: Aggregate;
    after?: string;
    limit: number;
  }): Promise<Page<Head>>;
  /** Resolves when a record after `position` exists or the signal ends; true when there is one. */
  changed(position: number, signal: AbortSignal): Promise<boolean>;
  /** With a series likewise. */
  row(kind: RowKind, tenant: string, id: string, series?: Series): Promise<StoredRow | undefined>;
  list(query: RowQuery): Promise<Page<StoredRow>>;
  counter(key: string): Promise<number>;
  /** Several counters, in the order of their keys. */
  counters(keys: readonly string[]): Promise<number[]>;
  /** The newest snapshot of a chain's folded state, or none. A snapshot is a cache, re-derivable from records. */
  snapshot(chain: ChainKey): Promise<{ seq: number; hash: string; state: JsonValue } | undefined>;
  saveSnapshot(chain: ChainKey, seq: number, hash: string, state: JsonValue): Promise<void>;
  /** Takes or renews a lease for `ms`; the held lease of another owner is returned as refused. A series is told early. */
  claim(
    key: string,
    owner: string,
    now: EpochMs,
    ms: number,
    series?: Series,
  ): Promise<{ ok: true; lease: Lease } | { ok: false; holder: Lease }>;
  release(lease: Lease): Promise<void>;
  /**
   * Takes timers due at `now`, each for `ms`; a taken timer is given again only after that. With `agent`, those that are for
   * another one are left as they are.
   */
  claimTimers(owner: string, now: EpochMs, ms: number, limit: number, agent?: string): Promise<Timer[]>;
  /** Since when the longest waiting of a tenant's timers could have been taken by `now`, `agent` likewise; undefined: none waits. */
  oldestDue(tenant: string, now: EpochMs, agent?: string): Promise<EpochMs | undefined>;
  blob(tenant: string, key: string): Promise<Uint8Array | undefined>;
  report(): Promise<StoreReport>;
  /** A consistent copy into `path`, which must not exist. */
  backup(path: string): Promise<void>;
  close(): Promise<void>;
}

/** Where tenant keys come from. They live outside the database. */
export interface TenantKeys {
  /** The 32-byte key that seals this tenant's exact payloads; undefined once destroyed. */
  sealingKey(tenant: string): Uint8Array | undefined;
}
