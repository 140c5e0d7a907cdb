// Owns what was said in a session, in order. It lies in the sealed payloads of the session's own turn records; a result
// of the kernel is kept there as the position of its record and is read from it, so that it is stored once.
// A snapshot holds no message: after a restart the conversation is read anew, when a turn needs it.
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { ChainKey, Store, StoredRecord } from '../../store/contract.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import { reportAt } from './call-report.ts';

export type Entry =
  /** From the host. system and assistant are context it gave at the start, never our own voice. */
  | { from: 'host'; role: 'user' | 'system' | 'assistant'; content: string }
  /** A tool message that answers no call of this session. */
  | { from: 'host'; role: 'tool'; content: string; toolName?: string; verified: boolean }
  | { from: 'model'; content: string; calls: { id: string; name: string; input: JsonObject }[] }
  /** What became of a requested call. `late`: the model has had an interim word on it. */
  | {
      from: 'call';
      callId: string;
      tool: string;
      source: 'kernel' | 'host' | 'pack';
      content: string;
      isError: boolean;
      late: boolean;
      /** Position of the kernel's record that `content` was read from. */
      record?: number;
    };

/** The entry as it is sealed; what the kernel's record already holds is left out. */
export function sealedEntry(entry: Entry): JsonObject {
  if (entry.from === 'call' && entry.record !== undefined) {
    const { from, callId, tool, source, late, record } = entry;
    return { from, callId, tool, source, late, record };
  }
  return entry;
}

async function unsealedEntry(store: Store, chain: ChainKey, sealed: JsonObject): Promise<Entry> {
  const record = numberAt(sealed, 'record');
  if (record === undefined) return sealed as unknown as Entry;
  return { ...(sealed as unknown as Entry), ...(await reportAt(store, chain, record)) };
}

/** The model's side of a completed turn, from its sealed payload. */
export function modelEntry(sealed: JsonValue): Entry {
  const value = sealed as JsonObject;
  const calls = objectsAt(value, 'calls').map((call) => ({
    id: textAt(call, 'id') ?? '',
    name: textAt(call, 'name') ?? '',
    input: objectAt(call, 'input'),
  }));
  return { from: 'model', content: textAt(value, 'message') ?? '', calls };
}

/** What one record adds to the conversation; nothing when it is of another type or its payload was erased. */
async function entriesOf(store: Store, record: StoredRecord): Promise<Entry[]> {
  const { type, chain, seq, sealed: commitment } = record.header;
  if ((type !== 'turn_started' && type !== 'turn_completed') || commitment === undefined) return [];
  const sealed = await store.unseal(chain, seq);
  if (sealed.state !== 'present') return [];
  if (type === 'turn_completed') return [modelEntry(sealed.value)];
  const entries = objectsAt(sealed.value as JsonObject, 'entries');
  const read: Entry[] = [];
  for (const entry of entries) read.push(await unsealedEntry(store, chain, entry));
  return read;
}

const PAGE = 200;

/** What the records after `after` and up to `upTo` add. */
export async function readConversation(
  store: Store,
  chain: ChainKey,
  span: { after: number; upTo: number },
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let from = span.after + 1; from <= span.upTo; from += PAGE) {
    const page = await store.read(chain, from, Math.min(PAGE, span.upTo - from + 1));
    for (const record of page) entries.push(...(await entriesOf(store, record)));
    if (page.length === 0) break;
  }
  return entries;
}
