// Owns what a process still holds of the session records that it wrote itself, so that they need not be read back.
//
// O1  What is told from them is what reading them would tell, byte for byte: objects in the order in which they lie there.
import { canonicalJson, isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Append } from '../../store/contract.ts';

/** A record as it was committed by this process. */
export interface OwnRecord extends Pick<Append, 'type' | 'at' | 'evidence'> {
  seq: number;
  sealed: JsonValue | undefined;
}

/** A copy of its own, as it is read (O1). */
export function asRead(value: JsonObject): JsonObject {
  return JSON.parse(canonicalJson(value)) as JsonObject;
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
