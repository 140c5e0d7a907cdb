// Owns the judgement of a commit: from what the store holds now, either a refusal or everything that is to be written.
// Every engine plans here, inside its transaction, and then only writes; so engines cannot differ in what they accept.
//
// P1  Planning reads through the view and writes nothing: a refused or failed plan leaves no trace (S1, S6).
// P2  Order of judgement: guards, counters, rows, appends. Within one commit later parts see what earlier parts made.
import { canonicalJson } from '../base/json.ts';
import { CHAIN_START, isChain, makeRecord } from './chain.ts';
import type { Append, ChainKey, Commit, CommitResult, Row, RowKind, RowWrite } from './contract.ts';
import { placeOf, SALT_HEX, sealFor } from './sealing.ts';
import type { SealingTools } from './sealing.ts';

/** A chain's end as the engine holds it. `handle` is the engine's own number of the chain, 0 for a new one. */
export interface ChainEnd {
  handle: number;
  seq: number;
  hash: string;
  /** The newest lease epoch among the chain's records. */
  epoch: number;
}

/** What a plan may ask; read inside the transaction that will write (S2). */
export interface View {
  chainEnd(chain: ChainKey): ChainEnd | undefined;
  /** The epoch of the lease that fences the chain; 0 when there was never one. */
  leaseEpoch(chain: ChainKey): number;
  counter(key: string): number;
  rowVersion(kind: RowKind, tenant: string, id: string): number | undefined;
}

/** A record in the form in which it lies in an engine. */
export interface NewRecord {
  chain: ChainKey;
  seq: number;
  type: string;
  header: string;
  hash: string;
  salt: string;
  evidence: string;
  sealed: Uint8Array | null;
}

export interface ChainMove {
  chain: ChainKey;
  end: ChainEnd;
  records: NewRecord[];
}

export interface Plan {
  chains: ChainMove[];
  rows: { row: Row; version: number }[];
  counters: Map<string, number>;
}

export type Refusal = Exclude<CommitResult, { ok: true }>;
export type Planned = { ok: true; plan: Plan } | Refusal;

const NAME_END = '\0'; // no name holds it

function planCounters(commit: Commit, view: View): Map<string, number> | Refusal {
  for (const guard of commit.guards ?? []) {
    const value = view.counter(guard.key);
    if (value !== guard.is) return { ok: false, refused: 'guard', key: guard.key, value };
  }
  const values = new Map<string, number>();
  for (const { key, add, max } of commit.counters ?? []) {
    const value = values.get(key) ?? view.counter(key);
    if (max !== undefined && value + add > max) return { ok: false, refused: 'counter', key, value, max };
    values.set(key, value + add);
  }
  return values;
}

function fits(when: RowWrite['when'], version: number | undefined): boolean {
  if (when === undefined || when === 'any') return true;
  return when === 'absent' ? version === undefined : version === when.version;
}

function planRows(commit: Commit, view: View): Plan['rows'] | Refusal {
  const rows: Plan['rows'] = [];
  const versions = new Map<string, number>();
  for (const { row, when } of commit.rows ?? []) {
    const key = row.kind + NAME_END + row.tenant + NAME_END + row.id;
    const version = versions.get(key) ?? view.rowVersion(row.kind, row.tenant, row.id);
    if (!fits(when, version)) return { ok: false, refused: 'row', kind: row.kind, id: row.id, version };
    versions.set(key, (version ?? 0) + 1);
    rows.push({ row, version: (version ?? 0) + 1 });
  }
  return rows;
}

/** S3: what keeps this append from following `end`, if anything. */
function refusalOf(append: Append, end: ChainEnd, view: View): Refusal | undefined {
  const { chain, when } = append;
  if ('seq' in when) {
    return when.seq === end.seq ? undefined : { ok: false, refused: 'conflict', chain, head: end.seq };
  }
  if (when.epoch === 0) return undefined; // no lease needed
  const newest = Math.max(end.epoch, view.leaseEpoch(chain));
  return newest > when.epoch ? { ok: false, refused: 'fenced', chain, epoch: newest } : undefined;
}

function recordOf(append: Append, end: ChainEnd, tools: SealingTools): NewRecord {
  const { chain, type, at, when } = append;
  const salts = Buffer.from(tools.ids.bytes(SALT_HEX)).toString('hex'); // one draw gives both
  const evidence = { salt: salts.slice(0, SALT_HEX), text: canonicalJson(append.evidence) };
  const sealed =
    append.sealed === undefined
      ? undefined
      : { salt: salts.slice(SALT_HEX), text: canonicalJson(append.sealed) };
  const epoch = 'epoch' in when ? when.epoch : 0;
  const made = makeRecord(end, { chain, type, at, epoch, evidence, sealed });
  const { seq } = made.header;
  return {
    chain,
    seq,
    type,
    header: made.text,
    hash: made.hash,
    salt: evidence.salt,
    evidence: evidence.text,
    sealed: sealed === undefined ? null : sealFor(tools, chain.tenant, placeOf(chain, seq), sealed),
  };
}

function planChains(commit: Commit, view: View, tools: SealingTools): ChainMove[] | Refusal {
  const moves: ChainMove[] = [];
  for (const append of commit.appends ?? []) {
    const { chain, when } = append;
    let move = moves.find((one) => isChain(one.chain, chain));
    if (move === undefined) {
      const end = view.chainEnd(chain) ?? { handle: 0, ...CHAIN_START, epoch: 0 };
      move = { chain, end: { ...end }, records: [] };
      moves.push(move);
    }
    const { end, records } = move;
    const refusal = refusalOf(append, end, view);
    if (refusal !== undefined) return refusal;
    const record = recordOf(append, end, tools);
    records.push(record);
    end.seq = record.seq;
    end.hash = record.hash;
    if ('epoch' in when) end.epoch = Math.max(end.epoch, when.epoch);
  }
  return moves;
}

/** Judges a commit against the store as it is now (P1, P2). */
export function planCommit(commit: Commit, view: View, tools: SealingTools): Planned {
  const counters = planCounters(commit, view);
  if (!(counters instanceof Map)) return counters;
  const rows = planRows(commit, view);
  if (!Array.isArray(rows)) return rows;
  const chains = planChains(commit, view, tools);
  if (!Array.isArray(chains)) return chains;
  return { ok: true, plan: { chains, rows, counters } };
}

/** What the writer of an executed plan is told. */
export function resultOf(plan: Plan): CommitResult {
  const heads = plan.chains.map(({ chain, end }) => ({ chain, seq: end.seq, hash: end.hash }));
  return { ok: true, heads, counters: plan.counters };
}
