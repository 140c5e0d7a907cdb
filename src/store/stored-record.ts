// Owns the way back from what lies in an engine to a record, judging each on its own: damage to one says nothing
// about another (S4, S5). Damage is thrown or returned here and remembered by `damage.ts`.
import { sha256 } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { commitment, isChain } from './chain.ts';
import type { Aggregate, ChainKey, Payload, RecordHeader, StoredRecord } from './contract.ts';
import { placeOf, unseal } from './sealing.ts';

/** Columns as found; a damaged file may hold anything in them. */
export interface StoredForm {
  position: number;
  seq: number;
  header: unknown;
  hash: unknown;
  salt: unknown;
  evidence: unknown;
}

const HEX = /^[0-9a-f]{64}$/;
const AGGREGATES: ReadonlySet<unknown> = new Set<Aggregate>([
  'session',
  'approval',
  'capability_session',
  'instance',
  'principal',
  'workspace',
]);

const isHex = (value: unknown): boolean => typeof value === 'string' && HEX.test(value);

function isChainKey(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value.tenant === 'string' &&
    AGGREGATES.has(value.aggregate) &&
    typeof value.id === 'string' &&
    Object.keys(value).length === 3
  );
}

// By hand, because each record of each read passes here.
function isHeader(value: unknown): value is RecordHeader {
  if (!isObject(value)) return false;
  const { v, chain, seq, type, at, epoch, evidence, sealed, prev } = value;
  const isSealed = Object.hasOwn(value, 'sealed');
  return (
    v === 1 &&
    isChainKey(chain) &&
    Number.isSafeInteger(seq) &&
    typeof type === 'string' &&
    typeof at === 'number' &&
    typeof epoch === 'number' &&
    isHex(evidence) &&
    (!isSealed || isHex(sealed)) &&
    isHex(prev) &&
    Object.keys(value).length === (isSealed ? 9 : 8)
  );
}

/** STORE_CORRUPT that names chain and record. */
export function damaged(chain: ChainKey, seq: number, what: string): RuntimeError {
  const { tenant, aggregate, id } = chain;
  const sentence = `Record ${seq} of ${aggregate} ${id} is damaged: ${what}.`;
  return new RuntimeError('STORE_CORRUPT', sentence, { tenant, aggregate, id, seq, what });
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The header of a record of `chain` at `seq`; throws STORE_CORRUPT when it is not what was hashed. */
export function readHeader(
  chain: ChainKey,
  form: Pick<StoredForm, 'seq' | 'header' | 'hash'>,
): { header: RecordHeader; hash: string } {
  const { seq, hash, header: text } = form;
  const header = typeof text === 'string' ? parseText(text) : undefined;
  if (typeof text !== 'string' || !isHeader(header) || typeof hash !== 'string') {
    throw damaged(chain, seq, 'its header cannot be read');
  }
  if (!isChain(header.chain, chain) || header.seq !== seq) throw damaged(chain, seq, 'it is another record');
  // The stored text is the hashed text (S5).
  if (sha256(text) !== hash) throw damaged(chain, seq, 'its hash does not fit');
  return { header, hash };
}

function readEvidence(
  header: RecordHeader,
  form: StoredForm,
): Pick<StoredRecord, 'evidence' | 'evidenceBytes'> {
  const { salt, evidence: text } = form;
  if (salt === null && text === null) return { evidence: { state: 'erased' } };
  if (typeof salt !== 'string' || typeof text !== 'string') return { evidence: { state: 'unreadable' } };
  const evidenceBytes = { salt, text };
  const value = commitment(evidenceBytes) === header.evidence ? parseText(text) : undefined;
  // The bytes go along: a verifier must see what lies there, not only that it is wrong.
  if (!isObject(value)) return { evidence: { state: 'unreadable' }, evidenceBytes };
  return { evidence: { state: 'present', value: value as JsonObject }, evidenceBytes };
}

/** A record from its stored form; a garbled payload is `unreadable`, a garbled header throws STORE_CORRUPT. */
export function readRecord(chain: ChainKey, form: StoredForm): StoredRecord {
  const { header, hash } = readHeader(chain, form);
  return { header, hash, position: form.position, ...readEvidence(header, form) };
}

/** The sealed payload of a record whose header has been read. */
export function readSealed(
  header: RecordHeader,
  sealed: unknown,
  key: Uint8Array | undefined,
): Payload<JsonValue> {
  if (sealed === null) return { state: 'erased' };
  if (key === undefined || !(sealed instanceof Uint8Array)) return { state: 'unreadable' };
  const plain = unseal(key, placeOf(header.chain, header.seq), sealed);
  if (plain === undefined || commitment(plain) !== header.sealed) return { state: 'unreadable' };
  const value = parseText(plain.text);
  return value === undefined ? { state: 'unreadable' } : { state: 'present', value: value as JsonValue };
}
