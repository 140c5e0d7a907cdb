// Owns the line format of exported evidence: one record a line, the same bytes that were hashed, canonical JSON, so that
// any changed byte is a different line.
import { canonicalJson, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { parseJson } from '../base/strict-json.ts';
import type { CheckableRecord } from '../store/chain.ts';
import type { StoredRecord } from '../store/contract.ts';

const LINE_LIMITS = { maxDepth: 64, maxBytes: 16 * 1024 * 1024 };

/** The line of a record, without its newline. An erased payload has no `evidence`. */
export function exportLine(record: StoredRecord): string {
  const { header, hash, evidenceBytes } = record;
  return canonicalJson({
    header: { ...header, chain: { ...header.chain } },
    hash,
    ...(evidenceBytes === undefined ? {} : { evidence: { ...evidenceBytes } }),
  });
}

export type ReadLine = { ok: true; record: CheckableRecord } | { ok: false; why: string };

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isHeader(value: unknown): boolean {
  if (!isObject(value) || !isObject(value.chain)) return false;
  const { chain, seq, type, at, epoch, evidence, prev } = value;
  return (
    [chain.tenant, chain.aggregate, chain.id, type, evidence, prev].every(isText) &&
    [seq, at, epoch].every(Number.isSafeInteger)
  );
}

/** Reads a line back. A line that is not exactly what an export writes is refused, whatever it means. */
export function readLine(text: string): ReadLine {
  let value: JsonObject;
  try {
    const parsed = parseJson(text, LINE_LIMITS);
    if (!isObject(parsed)) return { ok: false, why: 'the line is not an object' };
    value = parsed;
  } catch (error) {
    return { ok: false, why: (error as Error).message };
  }
  if (canonicalJson(value) !== text) return { ok: false, why: 'the line is not in its canonical form' };
  const { header, hash, evidence, ...unknown } = value;
  // A payload under a misspelt key would pass for an erased one.
  if (Object.keys(unknown).length > 0) return { ok: false, why: 'the line has an unknown key' };
  const isPayload =
    evidence === undefined || (isObject(evidence) && isText(evidence.salt) && isText(evidence.text));
  if (!isHeader(header) || !isText(hash) || !isPayload)
    return { ok: false, why: 'a field is missing or of another type' };
  return {
    ok: true,
    record: {
      header,
      hash,
      ...(evidence === undefined ? {} : { evidenceBytes: evidence }),
    } as unknown as CheckableRecord,
  };
}
