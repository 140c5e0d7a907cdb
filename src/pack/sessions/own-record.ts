// Owns what a process still holds of the session records that it wrote itself, so that they need not be read back.
//
// O1  What is told from them is what reading them would tell, byte for byte: objects in the order in which they lie there.
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { orderedKeys } from '../../base/key-order.ts';
import type { Append } from '../../store/contract.ts';

/** A record as it was committed by this process. */
export interface OwnRecord extends Pick<Append, 'type' | 'at' | 'evidence'> {
  seq: number;
  sealed: JsonValue | undefined;
}

// A tool may say anything; an assignment to this key would set the prototype.
const PLAIN = { configurable: true, enumerable: true, writable: true };

function copyOf(value: JsonValue): JsonValue {
  if (typeof value === 'number') return value === 0 ? 0 : value; // -0 is written as 0
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map(copyOf) : asRead(value);
}

/** A copy of its own of what was committed, as it is read (O1). */
export function asRead(value: JsonObject): JsonObject {
  const read: JsonObject = {};
  for (const { key } of orderedKeys(value)) {
    const member: JsonValue | undefined = value[key];
    if (member === undefined) continue;
    if (key === '__proto__') Object.defineProperty(read, key, { ...PLAIN, value: copyOf(member) });
    else read[key] = copyOf(member);
  }
  return read;
}

/** What the record sealed; undefined: nothing, or it lies elsewhere. */
export function ownSealed({ type, sealed }: OwnRecord): JsonObject | undefined {
  if (!isObject(sealed)) return undefined;
  // A large result of a call lies beside its record.
  return type === 'call_finished' && !Array.isArray(sealed.content) ? undefined : sealed;
}

/** The newest ones, up to the record at `seq`, without a gap. */
export function ownTail(own: readonly OwnRecord[], seq: number): readonly OwnRecord[] {
  let first = own.length;
  while (first > 0 && own[first - 1]?.seq === seq - (own.length - first)) first--;
  return own.slice(first);
}
