// Owns the way back from what lies in an engine to a record, judging each on its own: damage to one says nothing
// about another (S4, S5). Damage is thrown or returned here and remembered by `damage.ts`.
import { z } from 'zod';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { checkRecord, commitment, isChain } from './chain.ts';
import type { ChainKey, Payload, RecordHeader, StoredRecord } from './contract.ts';
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

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const headerSchema = z.strictObject({
  v: z.literal(1),
  chain: z.strictObject({
    tenant: z.string(),
    aggregate: z.enum(['session', 'approval', 'capability_session', 'instance', 'principal', 'workspace']),
    id: z.string(),
  }),
  seq: z.int().min(1),
  type: z.string(),
  at: z.number(),
  epoch: z.number(),
  evidence: hex,
  sealed: z.exactOptional(hex),
  prev: hex,
});

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
  const { seq, hash } = form;
  const found = headerSchema.safeParse(typeof form.header === 'string' ? parseText(form.header) : undefined);
  if (!found.success || typeof hash !== 'string') throw damaged(chain, seq, 'its header cannot be read');
  const header = found.data;
  if (!isChain(header.chain, chain) || header.seq !== seq) throw damaged(chain, seq, 'it is another record');
  if (checkRecord({ header, hash }) !== undefined) throw damaged(chain, seq, 'its hash does not fit');
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
