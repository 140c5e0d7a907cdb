// Owns the reading of a session's past for rules: its chain, verified link by link, from the last record read on.
//
// P1: a past is given only when every record up to the head is there, in order, unaltered and readable.
// P2: what was read is kept in memory, so a decision reads only what is new; it is a cache of the chain and nothing else. Behind
//     the record of an erasure the chain is read anew from its first record.
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { readResult } from '../../kernel/evidence/large-result.ts';
import { PastIndex } from '../../kernel/policy/past.ts';
import type { NoPast, Past, PastOutcome, Source } from '../../kernel/policy/past.ts';
import { CHAIN_START, checkChain } from '../../store/chain.ts';
import type { ChainPoint } from '../../store/chain.ts';
import { ERASED_TYPE } from '../../store/contract.ts';
import type { ChainKey, Payload, Store, StoredRecord } from '../../store/contract.ts';
import { objectsAt, textAt } from '../records.ts';
import { reportAt } from './call-report.ts';

const PAGE = 200;
const MAX_SESSIONS = 64;

interface Read {
  index: PastIndex;
  end: ChainPoint;
}

type Tools = RuntimeConfig['capabilities'];

function unread(): Read {
  return { index: new PastIndex(), end: CHAIN_START };
}

function sourceOf(tools: Tools, callId: string, tool: string): Source {
  const capability = Object.hasOwn(tools, tool) ? tools[tool] : undefined;
  return {
    record: callId,
    tool,
    ...(capability?.server === undefined ? {} : { server: capability.server }),
    isRead: capability?.mode === 'read',
  };
}

/** A value only when it was sealed and can be opened; `undefined` when nothing was sealed. */
function opened(payload: Payload<JsonValue> | undefined): { value: JsonValue | undefined } | undefined {
  if (payload === undefined) return { value: undefined };
  return payload.state === 'present' ? { value: payload.value } : undefined;
}

function addEntries(index: PastIndex, entries: readonly JsonObject[], at: string): void {
  for (const entry of entries) {
    const content = textAt(entry, 'content') ?? '';
    if (textAt(entry, 'from') === 'host' && textAt(entry, 'role') === 'user') index.addUser(content);
    // What the kernel ran is taken from its own record; everything else that a host brought is somebody's word.
    else if (textAt(entry, 'from') !== 'model' && entry['record'] === undefined) {
      const tool = textAt(entry, 'toolName') ?? textAt(entry, 'tool');
      index.addUntrusted(content, { record: at, ...(tool === undefined ? {} : { tool }), isRead: false });
    }
  }
}

function outcomeOf(evidence: JsonObject): PastOutcome {
  if (textAt(evidence, 'status') === 'done') return 'done';
  return textAt(evidence, 'side_effect_status') === 'not_executed' ? 'not_executed' : 'failed';
}

/** The text that the model is given of a result: its structure, or else a text that is JSON. */
function valueOf(result: JsonObject): JsonValue {
  if (result['structured'] !== undefined) return result['structured'];
  const texts = objectsAt(result, 'content').map((block) => textAt(block, 'text') ?? '');
  try {
    return JSON.parse(texts.join('\n')) as JsonValue;
  } catch {
    return texts;
  }
}

class Pasts {
  readonly #store: Store;
  readonly #tools: Tools;
  readonly #read = new Map<string, Promise<Read | NoPast>>();

  constructor(store: Store, tools: Tools) {
    this.#store = store;
    this.#tools = tools;
  }

  async past(chain: ChainKey): Promise<Past | NoPast> {
    const key = JSON.stringify([chain.tenant, chain.id]);
    const before = this.#read.get(key) ?? Promise.resolve(unread());
    // One after another: two readers of one chain would add its records twice.
    const next = before.then((read) => ('why' in read ? read : this.#goOn(chain, read)));
    this.#read.delete(key);
    this.#read.set(key, next);
    let made: Read | NoPast | undefined;
    try {
      made = await next;
    } finally {
      // What could not be read is tried again from the start.
      if ((made === undefined || 'why' in made) && this.#read.get(key) === next) this.#read.delete(key);
    }
    this.#forgetOldest();
    if ('why' in made) return made;
    return made.index.isFull ? { why: 'it has more calls than are held' } : made.index;
  }

  #forgetOldest(): void {
    for (const key of this.#read.keys()) {
      if (this.#read.size <= MAX_SESSIONS) return;
      this.#read.delete(key);
    }
  }

  async #goOn(chain: ChainKey, { index, end: from }: Read): Promise<Read | NoPast> {
    let end = from;
    for (;;) {
      const page = await this.#store.read(chain, end.seq + 1, PAGE);
      const verdict = checkChain(chain, page, end);
      if (!verdict.ok) return { why: `record ${verdict.seq} of its journal does not verify` };
      const isGone = from.seq > 0 && page.some(({ header }) => header.type === ERASED_TYPE);
      if (isGone) return this.#goOn(chain, unread()); // P2
      for (const record of page) {
        const problem = await this.#add(index, record);
        if (problem !== undefined) return problem;
      }
      ({ end } = verdict);
      if (page.length < PAGE) break;
    }
    const head = await this.#store.head(chain);
    return (head?.seq ?? 0) < end.seq ? { why: 'its journal has become shorter' } : { index, end };
  }

  async #add(index: PastIndex, record: StoredRecord): Promise<NoPast | undefined> {
    const { type, chain, seq, sealed } = record.header;
    if (!RELEVANT.has(type)) return undefined;
    if (record.evidence.state !== 'present') return erased(seq);
    const evidence = record.evidence.value;
    const callId = textAt(evidence, 'call_id') ?? '';
    const tool = textAt(evidence, 'tool') ?? '';
    if (type === 'call_replayed') {
      const { content } = await reportAt(this.#store, chain, seq);
      index.addUntrusted(content, sourceOf(this.#tools, callId, tool));
      return undefined;
    }
    const payload = sealed === undefined ? undefined : await readResult(this.#store, chain, seq);
    const found = opened(payload);
    if (found === undefined) return erased(seq);
    const value = isObject(found.value) ? found.value : {};
    if (type === 'turn_started') addEntries(index, objectsAt(value, 'entries'), `record ${seq}`);
    else if (type === 'call_started') {
      const { args } = value;
      index.started(callId, { tool, args: isObject(args) ? args : {} });
    } else {
      index.ended(callId, outcomeOf(evidence), found.value === undefined ? undefined : valueOf(value));
      if (found.value !== undefined) index.addUntrusted(found.value, sourceOf(this.#tools, callId, tool));
    }
    return undefined;
  }
}

const RELEVANT: ReadonlySet<string> = new Set([
  'turn_started',
  'call_started',
  'call_finished',
  'call_replayed',
]);

function erased(seq: number): NoPast {
  return { why: `record ${seq} of its journal was erased or cannot be opened` };
}

/** The pasts of all sessions of one store. */
export function createPasts(
  store: Store,
  config: Pick<RuntimeConfig, 'capabilities'>,
): (session: ChainKey) => Promise<Past | NoPast> {
  const pasts = new Pasts(store, config.capabilities);
  return (session) => pasts.past(session);
}
