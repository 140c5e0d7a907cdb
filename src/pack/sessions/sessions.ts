// Owns where sessions are found: minted, loaded and folded, held in memory while their chain's head is theirs.
//
// L1  A held session is used only after its chain's head was compared; what is newer is read, what differs is dropped.
// L2  A foreign session and an unknown one answer alike, in one sentence.
// L3  A snapshot is a cache: it counts only if the record at its position has its hash, it holds no message, and who the
//     session belongs to is always read from the session's first record.
// L4  Behind the record of an erasure nothing goes on that was held or saved before it: the session is read anew from its
//     first record, and one whose first record was erased is found by nobody.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import { ERASED_TYPE } from '../../store/contract.ts';
import type { Append, ChainKey, Head, Store } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import { ownReport, reportAt } from './call-report.ts';
import type { CallReport } from './call-report.ts';
import { readConversation } from './conversation.ts';
import type { Entry } from './conversation.ts';
import type { OwnRecord } from './own-record.ts';
import type { RunStatus } from '../turn/rows.ts';
import { eventOf, readable } from './session-events.ts';
import { ABSENT, apply } from './session.ts';
import type { LiveState, SessionState } from './session.ts';

export interface Said {
  entries: readonly Entry[];
  /** One object for all that goes on from one reading: each of them begins as the one before it. */
  origin: object;
}

export interface HeldSession {
  chain: ChainKey;
  /** One object for all that goes on from one reading of the chain; another one says that it was read anew (L4). */
  reading: object;
  state: LiveState;
  /** Hash of the record at `state.seq`. */
  hash: string;
  /** What was said, as far as it has been read; undefined until a turn needs it. */
  conversation: (Said & { upTo: number }) | undefined;
  /**
   * The newest records that this process wrote: of calls since the last turn, so that the next one need not read them; in
   * a managed session all since its transcript was read last, so that its run reads none.
   */
  own: readonly OwnRecord[];
  /** What this process has last written in the rows of the session and its run, while nobody else wrote since. */
  shown: { runId: string; runStatus: RunStatus } | undefined;
  /** Where the last snapshot was taken, as far as this process knows. */
  snapshotSeq: number;
}

export interface Sessions {
  /** The caller's own session, folded up to its head, on disk or told to the series. Throws NOT_FOUND (L2). */
  load(caller: Caller, id: string, series?: Series): Promise<HeldSession>;
  /** Everything said so far, in order. */
  conversation(held: HeldSession): Promise<Said>;
  /** What the record at `seq` of a held session says of its call. */
  report(held: HeldSession, seq: number): Promise<CallReport>;
  /** Takes over what a commit of ours wrote; reads nothing when nobody wrote in between. */
  advance(from: Advance): Promise<HeldSession | undefined>;
  /** Takes over what the kernel has just written of a call; a session that is not held, or moved, is left to `load`. */
  recorded(appends: readonly Append[], heads: readonly Head[]): void;
}

export interface Advance {
  chain: ChainKey;
  /** undefined: the session begins with these appends. */
  held: HeldSession | undefined;
  appends: readonly Append[];
  heads: readonly Head[];
  said: readonly Entry[];
  /** What these appends were committed with. */
  shown: HeldSession['shown'];
}

const PAGE = 200;
const SNAPSHOT_EVERY = 200;
const SNAPSHOT_VERSION = 3;
const MAX_HELD = 512;
// More calls than this between two turns are rare, and a run has rarely more records; what is not kept is read.
const KEPT_OWN = 16;
const KEPT_OF_RUN = 64;

export function sessionChainOf(tenant: string, id: string): ChainKey {
  return { tenant, aggregate: 'session', id };
}

export function sessionNotFound(id: string): RuntimeError {
  return new RuntimeError('NOT_FOUND', `Session not found: ${id.slice(0, 80)}`, { kind: 'session' });
}

/** What lies there is whole as far as anybody can tell, and this process has not the key to it. */
export function unreadableHere(id: string): RuntimeError {
  return new RuntimeError(
    'STORE_UNAVAILABLE',
    `What was sealed of ${id.slice(0, 80)} cannot be read with the keys of this state directory; use the one that it was written with.`,
    { session_id: id },
  );
}

interface Folded {
  state: SessionState;
  hash: string;
  snapshotSeq: number;
}

/** Folds every record after `from`, page by page; undefined: what was folded before may have been erased since (L4). */
async function foldOn(store: Store, chain: ChainKey, from: Folded): Promise<Folded | undefined> {
  let { state, hash } = from;
  const { snapshotSeq } = from;
  for (;;) {
    const page = await store.read(chain, state.seq + 1, PAGE);
    for (const record of page) {
      if (record.header.type === ERASED_TYPE && from.state.seq > 0) return undefined;
      state = apply(state, eventOf(readable(record)));
      hash = record.hash;
    }
    if (page.length < PAGE) return { state, hash, snapshotSeq };
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
  const restored = { ...begun, ...(state as unknown as LiveState), facts: begun.facts };
  return { state: restored, hash: found.hash, snapshotSeq: found.seq };
}

async function coldLoad(store: Store, chain: ChainKey): Promise<HeldSession | undefined> {
  const saved = await fromSnapshot(store, chain);
  const begun = { state: ABSENT, hash: '', snapshotSeq: 0 };
  const folded = (saved && (await foldOn(store, chain, saved))) ?? (await foldOn(store, chain, begun));
  if (folded === undefined || folded.state.status === 'absent') return undefined;
  const { state, ...at } = folded;
  return { chain, reading: {}, state, ...at, conversation: undefined, own: [], shown: undefined };
}

function isCurrent({ state, hash }: HeldSession, head: Head): boolean {
  return head.seq === state.seq && head.hash === hash;
}

/** What came since; undefined when the chain is not the one that was held, or is that no more (L4). */
async function catchUp(store: Store, held: HeldSession, head: Head): Promise<HeldSession | undefined> {
  const { chain, state, hash } = held;
  if (head.seq <= state.seq || !(await isOnChain(store, chain, { seq: state.seq, hash }))) return undefined;
  const folded = await foldOn(store, chain, held);
  if (folded === undefined || folded.state.status === 'absent') return undefined;
  return { ...held, ...folded, state: folded.state, shown: undefined };
}

function isSnapshotDue({ state, snapshotSeq }: HeldSession): boolean {
  return state.seq - snapshotSeq >= SNAPSHOT_EVERY;
}

async function saveSnapshot(store: Store, held: HeldSession): Promise<void> {
  const { state, chain, hash } = held;
  held.snapshotSeq = state.seq;
  try {
    const plain = JSON.parse(JSON.stringify(state)) as JsonValue;
    await store.saveSnapshot(chain, state.seq, hash, { v: SNAPSHOT_VERSION, state: plain });
  } catch {
    // A cache that could not be written costs a longer fold later, and nothing else.
  }
}

function isOf(chain: ChainKey, wanted: ChainKey): boolean {
  return chain.id === wanted.id && chain.aggregate === 'session';
}

/** The state after a commit of ours; undefined when somebody wrote in between, which the next load reads. */
function foldOwn(
  chain: ChainKey,
  before: SessionState,
  appends: readonly Append[], // of this chain
  heads: readonly Head[],
): { state: LiveState; hash: string } | undefined {
  const head = heads.find((one) => isOf(one.chain, chain));
  if (head === undefined) return undefined;
  let state: SessionState = before;
  for (const { type, at, evidence } of appends) {
    state = apply(state, eventOf({ type, seq: state.seq + 1, at, evidence }));
  }
  return state.status === 'absent' || head.seq !== state.seq ? undefined : { state, hash: head.hash };
}

/** The sessions in memory, the least recently used dropped first. Of two tenants' sessions of one id it holds one. */
interface Cache {
  get(chain: ChainKey): HeldSession | undefined;
  hold(held: HeldSession): HeldSession;
  drop(chain: ChainKey): void;
}

function createCache(): Cache {
  const sessions = new Map<string, HeldSession>();
  // Its place is the last one already, so it need not be moved there.
  let newest = '';
  const get = ({ tenant, id }: ChainKey): HeldSession | undefined => {
    const held = sessions.get(id);
    return held?.chain.tenant === tenant ? held : undefined;
  };
  return {
    get,
    hold(held) {
      const { id } = held.chain;
      if (id !== newest) sessions.delete(id);
      sessions.set(id, held);
      newest = id;
      if (sessions.size > MAX_HELD) {
        const oldest = sessions.keys().next();
        if (oldest.done !== true) sessions.delete(oldest.value);
      }
      return held;
    },
    drop(chain) {
      if (get(chain) !== undefined) sessions.delete(chain.id);
    },
  };
}

async function current(
  store: Store,
  cache: Cache,
  chain: ChainKey,
  series: Series | undefined,
): Promise<HeldSession | undefined> {
  const head = await store.head(chain, series);
  if (head === undefined) return undefined;
  const cached = cache.get(chain);
  if (cached !== undefined && isCurrent(cached, head)) return cache.hold(cached);
  const caughtUp = cached === undefined ? undefined : await catchUp(store, cached, head);
  const held = caughtUp ?? (await coldLoad(store, chain));
  if (held !== undefined) return cache.hold(held);
  cache.drop(chain);
  return undefined;
}

function nothingSaid(): Said & { upTo: number } {
  return { upTo: 0, entries: [], origin: {} };
}

type Begun = Pick<HeldSession, 'reading' | 'conversation' | 'own' | 'snapshotSeq'> & { state: SessionState };

function unbegun(): Begun {
  return { reading: {}, state: ABSENT, conversation: nothingSaid(), own: [], snapshotSeq: 0 };
}

/** What is held of our records after these appends were written. */
function ownAfter(before: readonly OwnRecord[], state: LiveState, written: readonly Append[]): OwnRecord[] {
  const own = [...before];
  let seq = state.seq - written.length;
  for (const { type, at, evidence, sealed } of written) own.push({ seq: ++seq, type, at, evidence, sealed });
  const most = state.managed === undefined ? KEPT_OWN : KEPT_OF_RUN;
  return own.length > most ? own.slice(-most) : own;
}

function appendsOf(chain: ChainKey, appends: readonly Append[]): readonly Append[] {
  return appends.every((append) => isOf(append.chain, chain))
    ? appends
    : appends.filter((append) => isOf(append.chain, chain));
}

/** The session after a commit of ours, with what it said. */
function advanced({ chain, held, appends, heads, said, shown }: Advance): HeldSession | undefined {
  const { reading, state: before, conversation: known, own: told, snapshotSeq } = held ?? unbegun();
  const written = appendsOf(chain, appends);
  const moved = foldOwn(chain, before, written, heads);
  if (moved === undefined) return undefined;
  const upTo = moved.state.seq;
  const conversation =
    known?.upTo === before.seq
      ? { ...known, upTo, entries: said.length === 0 ? known.entries : [...known.entries, ...said] }
      : undefined;
  const { state, hash } = moved;
  const own = state.managed === undefined ? [] : ownAfter(told, state, written);
  return { chain, reading, state, hash, conversation, own, shown, snapshotSeq };
}

/** The session after a call's commit of ours. Such records say nothing by themselves: a turn tells what became of calls. */
function withCalls(
  held: HeldSession,
  appends: readonly Append[],
  heads: readonly Head[],
): HeldSession | undefined {
  const { chain, reading, conversation, shown, snapshotSeq } = held;
  const written = appendsOf(chain, appends);
  const moved = foldOwn(chain, held.state, written, heads);
  if (moved === undefined) return undefined;
  const { state, hash } = moved;
  const isRead = conversation?.upTo === held.state.seq;
  return {
    chain,
    reading,
    state,
    hash,
    conversation: isRead ? { ...conversation, upTo: state.seq } : conversation,
    own: ownAfter(held.own, state, written),
    shown,
    snapshotSeq,
  };
}

export function createSessions(store: Store): Sessions {
  const cache = createCache();
  return {
    async load(caller, id, series) {
      const held = await current(store, cache, sessionChainOf(caller.tenant, id), series);
      const facts = held?.state.facts;
      if (held === undefined || facts?.tenant !== caller.tenant || facts.principal !== caller.principal) {
        throw sessionNotFound(id);
      }
      return held;
    },

    async conversation(held) {
      const known = held.conversation ?? nothingSaid();
      if (known.upTo === held.state.seq) return known;
      const more = await readConversation(store, held.chain, { after: known.upTo, upTo: held.state.seq });
      held.conversation = { ...known, upTo: held.state.seq, entries: [...known.entries, ...more] };
      return held.conversation;
    },

    async report(held, seq) {
      const own = held.own.find((record) => record.seq === seq);
      return (own && ownReport(own)) ?? reportAt(store, held.chain, seq);
    },

    async advance(from) {
      const next = advanced(from);
      if (next === undefined) return undefined; // the next load reads what somebody wrote in between
      cache.hold(next);
      if (isSnapshotDue(next)) await saveSnapshot(store, next);
      return next;
    },

    recorded(appends, heads) {
      const chain = heads.find((head) => head.chain.aggregate === 'session')?.chain;
      const held = chain === undefined ? undefined : cache.get(chain);
      const next = held === undefined ? undefined : withCalls(held, appends, heads);
      if (next !== undefined) cache.hold(next);
    },
  };
}
