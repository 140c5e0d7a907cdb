// Owns where sessions are found: minted, loaded and folded, held in memory while their chain's head is theirs.
//
// L1  A held session is used only after its chain's head was compared; what is newer is read, what differs is dropped.
// L2  A foreign session and an unknown one answer alike, in one sentence.
// L3  A snapshot is a cache: it counts only if the record at its position has its hash, it holds no message, and who the
//     session belongs to is always read from the session's first record.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Append, ChainKey, Head, Store } from '../../store/contract.ts';
import { readConversation } from './conversation.ts';
import type { Entry } from './conversation.ts';
import { eventOf, readable } from './session-events.ts';
import { ABSENT, apply } from './session.ts';
import type { LiveState, SessionState } from './session.ts';

export interface HeldSession {
  chain: ChainKey;
  state: LiveState;
  /** Hash of the record at `state.seq`. */
  hash: string;
  /** What was said, as far as it has been read; undefined until a turn needs it. */
  conversation: { upTo: number; entries: Entry[] } | undefined;
}

export interface Sessions {
  /** The caller's own session, folded up to its head. Throws NOT_FOUND (L2). */
  load(caller: Caller, id: string): Promise<HeldSession>;
  /** Everything said so far, in order. */
  conversation(held: HeldSession): Promise<readonly Entry[]>;
  /** Takes over what a commit of ours wrote; reads nothing when nobody wrote in between. */
  advance(from: Advance): Promise<HeldSession | undefined>;
  /** Drops what is held of a session, e.g. after its payloads were erased. */
  forget(tenant: string, id: string): void;
}

export interface Advance {
  chain: ChainKey;
  /** undefined: the session begins with these appends. */
  held: HeldSession | undefined;
  appends: readonly Append[];
  heads: readonly Head[];
  said: readonly Entry[];
}

const PAGE = 200;
const SNAPSHOT_EVERY = 200;
const SNAPSHOT_VERSION = 2;
const MAX_HELD = 512;

export function sessionChainOf(tenant: string, id: string): ChainKey {
  return { tenant, aggregate: 'session', id };
}

export function sessionNotFound(id: string): RuntimeError {
  return new RuntimeError('NOT_FOUND', `Session not found: ${id.slice(0, 80)}`, { kind: 'session' });
}

function keyOf(chain: ChainKey): string {
  return `${encodeURIComponent(chain.tenant)}/${encodeURIComponent(chain.id)}`;
}

interface Folded {
  state: SessionState;
  hash: string;
}

/** Folds every record after `from`, page by page. */
async function foldOn(store: Store, chain: ChainKey, from: Folded): Promise<Folded> {
  let { state, hash } = from;
  for (;;) {
    const page = await store.read(chain, state.seq + 1, PAGE);
    for (const record of page) {
      state = apply(state, eventOf(readable(record)));
      hash = record.hash;
    }
    if (page.length < PAGE) return { state, hash };
  }
}

/** Whether the chain still has this record at this place. */
async function isOnChain(store: Store, chain: ChainKey, at: { seq: number; hash: string }): Promise<boolean> {
  const [record] = await store.read(chain, at.seq, 1);
  return record?.hash === at.hash;
}

async function fromSnapshot(store: Store, chain: ChainKey): Promise<Folded | undefined> {
  const found = await store.snapshot(chain);
  if (found === undefined || !(await isOnChain(store, chain, found))) return undefined;
  const { v, state } = found.state as { v?: number; state?: JsonObject };
  const [first] = await store.read(chain, 1, 1);
  if (v !== SNAPSHOT_VERSION || state === undefined || first === undefined) return undefined;
  const begun = apply(ABSENT, eventOf(readable(first)));
  if (begun.status === 'absent') return undefined;
  return { state: { ...begun, ...(state as unknown as LiveState), facts: begun.facts }, hash: found.hash };
}

async function coldLoad(store: Store, chain: ChainKey): Promise<HeldSession | undefined> {
  const base = (await fromSnapshot(store, chain)) ?? { state: ABSENT, hash: '' };
  const { state, hash } = await foldOn(store, chain, base);
  return state.status === 'absent' ? undefined : { chain, state, hash, conversation: undefined };
}

async function catchUp(store: Store, held: HeldSession, head: Head): Promise<HeldSession | undefined> {
  const { chain, state, hash, conversation } = held;
  if (head.seq === state.seq) return head.hash === hash ? held : undefined;
  if (head.seq < state.seq || !(await isOnChain(store, chain, { seq: state.seq, hash }))) return undefined;
  const on = await foldOn(store, chain, { state, hash });
  return on.state.status === 'absent' ? undefined : { chain, state: on.state, hash: on.hash, conversation };
}

async function saveSnapshot(store: Store, held: HeldSession, before: number): Promise<void> {
  const { state, chain, hash } = held;
  if (Math.floor(state.seq / SNAPSHOT_EVERY) === Math.floor(before / SNAPSHOT_EVERY)) return;
  try {
    const plain = JSON.parse(JSON.stringify(state)) as JsonValue;
    await store.saveSnapshot(chain, state.seq, hash, { v: SNAPSHOT_VERSION, state: plain });
  } catch {
    // A cache that could not be written costs a longer fold later, and nothing else.
  }
}

export function createSessions(store: Store): Sessions {
  const cache = new Map<string, HeldSession>();

  const hold = (held: HeldSession): HeldSession => {
    const key = keyOf(held.chain);
    cache.delete(key);
    cache.set(key, held);
    const oldest = cache.keys().next();
    if (cache.size > MAX_HELD && oldest.done !== true) cache.delete(oldest.value);
    return held;
  };

  const current = async (chain: ChainKey): Promise<HeldSession | undefined> => {
    const head = await store.head(chain);
    if (head === undefined) return undefined;
    const cached = cache.get(keyOf(chain));
    const caughtUp = cached === undefined ? undefined : await catchUp(store, cached, head);
    const held = caughtUp ?? (await coldLoad(store, chain));
    return held === undefined ? undefined : hold(held);
  };

  return {
    async load(caller, id) {
      const held = await current(sessionChainOf(caller.tenant, id));
      const facts = held?.state.facts;
      if (held === undefined || facts?.tenant !== caller.tenant || facts.principal !== caller.principal) {
        throw sessionNotFound(id);
      }
      return held;
    },

    async conversation(held) {
      const known = held.conversation ?? { upTo: 0, entries: [] };
      if (known.upTo === held.state.seq) return known.entries;
      const more = await readConversation(store, held.chain, { after: known.upTo, upTo: held.state.seq });
      held.conversation = { upTo: held.state.seq, entries: [...known.entries, ...more] };
      return held.conversation.entries;
    },

    async advance({ chain, held, appends, heads, said }) {
      const own = appends.filter(
        (append) => append.chain.id === chain.id && append.chain.aggregate === 'session',
      );
      const head = heads.find((one) => one.chain.id === chain.id && one.chain.aggregate === 'session');
      const before = held?.state ?? ABSENT;
      if (head?.seq !== before.seq + own.length) return undefined; // somebody wrote in between; the next load reads it
      let state: SessionState = before;
      for (const { type, at, evidence } of own) {
        state = apply(state, eventOf({ type, seq: state.seq + 1, at, evidence }));
      }
      if (state.status === 'absent') return undefined;
      const known = held === undefined ? { upTo: 0, entries: [] } : held.conversation;
      const conversation =
        known?.upTo === before.seq ? { upTo: state.seq, entries: [...known.entries, ...said] } : undefined;
      const next = hold({ chain, state, hash: head.hash, conversation });
      await saveSnapshot(store, next, before.seq);
      return next;
    },

    forget(tenant, id) {
      cache.delete(keyOf(sessionChainOf(tenant, id)));
    },
  };
}
