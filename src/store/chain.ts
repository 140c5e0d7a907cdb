// Owns the making and checking of chained records: pure functions over headers, hashes and payload commitments.
// It stores nothing, draws no randomness and knows no engine, so a verifier without the store can use it as it is.
//
// C1  hash = sha256(RFC 8785 text of the header); the header holds `prev`, so a hash vouches for all before it (S4).
// C2  A payload enters the header only as sha256(salt + ':' + text): without the salt nothing can be guessed back,
//     and with payload and salt gone the chain still verifies (S4).
import { sha256 } from '../base/digest.ts';
import { canonicalJson } from '../base/json.ts';
import type { ChainKey, RecordHeader, StoredRecord } from './contract.ts';

/** `prev` of the first record of a chain. */
export const EMPTY_HASH: string = '0'.repeat(64);

/** The exact text of a payload and the random hex that hides it in its commitment. */
export interface SaltedText {
  salt: string;
  text: string;
}

/** Where a chain stands: how many records it has and the hash of the last. */
export interface ChainPoint {
  seq: number;
  hash: string;
}

export const CHAIN_START: ChainPoint = { seq: 0, hash: EMPTY_HASH };

/** What a record says besides its place in the chain. */
export interface RecordFacts {
  chain: ChainKey;
  type: string;
  at: number;
  epoch: number;
  evidence: SaltedText;
  sealed?: SaltedText | undefined;
}

/** A record as it leaves the maker. `text` is the hashed text; it is what an engine stores (S5). */
export interface MadeHeader {
  header: RecordHeader;
  text: string;
  hash: string;
}

/** The part of a record that a verifier needs; `StoredRecord` fits. */
export type CheckableRecord = Pick<StoredRecord, 'header' | 'hash' | 'evidenceBytes'>;

/**
 * hash: the header is not what was hashed. chain: it belongs to another chain. order: a record is missing or repeated.
 * link: `prev` is not the hash of the record before. payload: the evidence is not what the header committed to.
 */
export type RecordFault = 'hash' | 'chain' | 'order' | 'link' | 'payload';

/** sha256(salt + ':' + text) as hex (C2). */
export function commitment(payload: SaltedText): string {
  return sha256(`${payload.salt}:${payload.text}`);
}

/** The canonical text of a header (C1), whatever it holds. */
export function headerText(header: RecordHeader): string {
  return canonicalJson({ ...header, chain: { ...header.chain } });
}

/** The same text of a header that we made: its keys are known and stand here in their order, its commitments are hex. */
function madeText({ at, chain, epoch, evidence, prev, sealed, seq, type }: RecordHeader): string {
  const { aggregate, id, tenant } = chain;
  const place = `{"aggregate":${canonicalJson(aggregate)},"id":${canonicalJson(id)},"tenant":${canonicalJson(tenant)}}`;
  const commitments = sealed === undefined ? '' : `"sealed":"${sealed}",`;
  return `{"at":${canonicalJson(at)},"chain":${place},"epoch":${canonicalJson(epoch)},"evidence":"${evidence}","prev":${canonicalJson(prev)},${commitments}"seq":${canonicalJson(seq)},"type":${canonicalJson(type)},"v":1}`;
}

/** The record that follows `before` in its chain. */
export function makeRecord(before: ChainPoint, facts: RecordFacts): MadeHeader {
  const { chain, type, at, epoch, sealed } = facts;
  const { tenant, aggregate, id } = chain;
  const header: RecordHeader = {
    v: 1,
    chain: { tenant, aggregate, id },
    seq: before.seq + 1,
    type,
    at,
    epoch,
    evidence: commitment(facts.evidence),
    prev: before.hash,
  };
  if (sealed !== undefined) header.sealed = commitment(sealed);
  const said = madeText(header);
  return { header, text: said, hash: sha256(said) };
}

/**
 * The first thing wrong with a record, or undefined. With `before`, also its place in the chain is judged; an erased
 * payload (no `evidenceBytes`) is not a fault.
 */
export function checkRecord(record: CheckableRecord, before?: ChainPoint): RecordFault | undefined {
  const { header, hash, evidenceBytes } = record;
  if (sha256(headerText(header)) !== hash) return 'hash';
  if (before !== undefined && header.seq !== before.seq + 1) return 'order';
  if (before !== undefined && header.prev !== before.hash) return 'link';
  if (evidenceBytes !== undefined && commitment(evidenceBytes) !== header.evidence) return 'payload';
  return undefined;
}

export type ChainVerdict = { ok: true; end: ChainPoint } | { ok: false; seq: number; fault: RecordFault };

/** Checks records of one chain in order, from its start or from a point known to be good; names the first bad one. */
export function checkChain(
  chain: ChainKey,
  records: Iterable<CheckableRecord>,
  from: ChainPoint = CHAIN_START,
): ChainVerdict {
  let end = from;
  for (const record of records) {
    const fault = isChain(record.header.chain, chain) ? checkRecord(record, end) : 'chain';
    if (fault !== undefined) return { ok: false, seq: end.seq + 1, fault };
    end = { seq: record.header.seq, hash: record.hash };
  }
  return { ok: true, end };
}

export function isChain(a: ChainKey, b: ChainKey): boolean {
  return a.tenant === b.tenant && a.aggregate === b.aggregate && a.id === b.id;
}
