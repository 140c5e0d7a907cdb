// Owns the queue of background runs: bounded admission, position, and every move of an entry, each one commit. A timer
// stands for each entry, so that a run whose worker died is given out again.
//
// Q1  A run that is started in the background is recorded in the commit that admits it: a refused one leaves nothing, and
//     nothing is recorded that nobody will run.
// Q2  An entry of another principal is answered like none.
import type { Clock, EpochMs } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Commit, CommitResult, Store, StoredRow, TimerWrite } from '../../store/contract.ts';
import { entryFromJson, entryStatus, entryToJson, moveEntry } from './entry.ts';
import type { BackgroundKind, Entry, EntryEvent, EntryStatus } from './entry.ts';

export interface QueueDeps {
  store: Store;
  clock: Clock;
  maxQueued: number;
  /** Whose work is admitted; a worker of another agent leaves it alone. */
  agentId: string;
}

export interface Queued {
  status: EntryStatus;
  /** Runs of this tenant that are taken before it; absent once it has left the queue. */
  position?: number;
}

export interface Admitted {
  id: string;
  kind: BackgroundKind;
  maxTurns?: number;
  /** It is resumed, with all that waits for that; else it goes on with what moves by itself. */
  asked?: boolean;
}

/** What admits a run, to be committed with its first records (Q1), and what a refusal of that commit means. */
export interface Admission {
  commit: Commit;
  /** TOO_BUSY or CONFLICT when it was the caller's queue that refused; undefined when it was something else. */
  refusal: (refused: CommitResult) => RuntimeError | undefined;
}

export interface FoundEntry extends Entry {
  /** Of its row, as it was read. */
  version: number;
  /** When it was moved last. */
  movedAt: EpochMs;
}

export interface Queue {
  admission(caller: Caller, run: Admitted): Promise<Admission>;
  /**
   * One commit for a run that is recorded already; one that ended, or that waits and is resumed, is admitted anew. Throws
   * TOO_BUSY, CONFLICT.
   */
  admit(caller: Caller, run: Admitted): Promise<Queued>;
  /** Throws NOT_FOUND alike for foreign and absent entries. */
  status(caller: Caller, id: string): Promise<Queued & { entry: FoundEntry }>;
  find(tenant: string, id: string): Promise<FoundEntry | undefined>;
  /** undefined: somebody moved it since it was found, or its state does not take the event; then nothing has changed. */
  move(entry: FoundEntry, event: EntryEvent): Promise<FoundEntry | undefined>;
  /** Makes a parked entry due now; anything else is left as it is. */
  nudge(tenant: string, id: string): Promise<void>;
}

const PAGE = 200;

export function queueTimerId(id: string): string {
  return `queue/${id}`;
}

function depthKey(tenant: string): string {
  return `${encodeURIComponent(tenant)}|queue|depth`;
}

function ticketKey(tenant: string): string {
  return `${encodeURIComponent(tenant)}|queue|tickets`;
}

function timerOf(entry: Entry, dueAt: EpochMs): TimerWrite {
  const { tenant, id, principal, kind, agentId } = entry;
  const agent = agentId === undefined ? {} : { agent_id: agentId };
  const payload = { do: 'run', kind, session_id: id, principal, ...agent };
  return { tenant, id: queueTimerId(id), dueAt, payload };
}

function rowOf(entry: Entry, at: EpochMs): StoredRow {
  const { id, tenant, principal, kind } = entry;
  const status = entryStatus(entry.state);
  const body = entryToJson(entry);
  return { kind: 'queue', tenant, id, principal, status, ref: kind, updatedAt: at, body, version: 0 };
}

function entryOf(row: StoredRow): Entry {
  return entryFromJson({ id: row.id, tenant: row.tenant, principal: row.principal }, row.body);
}

/** The timer after a move: gone at the end, at the wake time while parked, untouched while it runs. */
function timersOf(entry: Entry): Pick<Commit, 'timers' | 'cancelTimers'> {
  switch (entry.state.at) {
    case 'queued':
    case 'running':
      return {};
    case 'parked':
      return { timers: [timerOf(entry, entry.state.until)] };
    case 'ended':
      return { cancelTimers: [{ tenant: entry.tenant, id: queueTimerId(entry.id) }] };
  }
}

function notFound(id: string): RuntimeError {
  return new RuntimeError('NOT_FOUND', `Session not found: ${id.slice(0, 80)}`, { kind: 'session' });
}

async function positionOf(store: Store, { tenant, ticket }: Entry): Promise<number> {
  let before = 0;
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await store.list({ kind: 'queue', tenant, status: 'queued', limit: PAGE, ...from });
    before += page.items.filter((row) => entryOf(row).ticket < ticket).length;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return before;
}

function full(depth: number, most: number): RuntimeError {
  return new RuntimeError('TOO_BUSY', 'The queue of background runs is full.', {
    reason: 'queue_full',
    queued: depth,
    most,
  });
}

function inQueue(id: string): RuntimeError {
  return new RuntimeError('CONFLICT', 'This run is in the queue, or a worker has it.', { session_id: id });
}

/** What a refused commit says of the queue; of a foreign entry it says nothing (Q2). */
function refusalOf(
  refused: CommitResult,
  { entry, isForeign }: { entry: Entry; isForeign: boolean },
): RuntimeError | undefined {
  if (refused.ok || isForeign) return undefined;
  if (refused.refused === 'counter' && refused.key === depthKey(entry.tenant)) {
    return full(refused.value, refused.max);
  }
  return refused.refused === 'row' && refused.kind === 'queue' ? inQueue(entry.id) : undefined;
}

/** Two commits as one; everything of both, or nothing. */
export function together(one: Commit, other: Commit = {}): Commit {
  const both = <T>(a: T[] = [], b: T[] = []): T[] => [...a, ...b];
  return {
    ...one,
    rows: both(one.rows, other.rows),
    counters: both(one.counters, other.counters),
    timers: both(one.timers, other.timers),
  };
}

async function findEntry(store: Store, tenant: string, id: string): Promise<FoundEntry | undefined> {
  const row = await store.row('queue', tenant, id);
  return row && { ...entryOf(row), version: row.version, movedAt: row.updatedAt };
}

/** One that ended is admitted anew; one that waits, once somebody resumes it: without that it goes on by itself. */
function takesNew(before: Entry | undefined, { asked = false }: Admitted): boolean {
  return before?.state.at === 'ended' || (before?.state.at === 'parked' && asked);
}

async function admissionOf(
  { store, clock, maxQueued, agentId }: QueueDeps,
  { tenant, principal }: Caller,
  run: Admitted,
): Promise<Admission> {
  const before = await findEntry(store, tenant, run.id);
  const isForeign = before !== undefined && before.principal !== principal;
  // Tickets only order the queue; one that is not used leaves a gap and harms nothing.
  const drawn = await store.commit({ counters: [{ key: ticketKey(tenant), add: 1 }] });
  const ticket = drawn.ok ? (drawn.counters.get(ticketKey(tenant)) ?? 0) : 0;
  const now = clock.now();
  const { asked = false, ...what } = run;
  const state = { at: 'queued', asked } as const;
  const entry: Entry = { ...what, tenant, principal, agentId, ticket, admittedAt: now, state };
  const when = takesNew(before, run) && !isForeign ? { version: before?.version ?? 0 } : 'absent';
  return {
    commit: {
      counters: [{ key: depthKey(tenant), add: 1, max: maxQueued }],
      rows: [{ row: rowOf(entry, now), when }],
      timers: [timerOf(entry, now)],
    },
    refusal: (refused) => refusalOf(refused, { entry, isForeign }),
  };
}

export function createQueue(deps: QueueDeps): Queue {
  const { store, clock } = deps;
  const show = async (entry: Entry): Promise<Queued> => {
    const status = entryStatus(entry.state);
    return status === 'queued' ? { status, position: await positionOf(store, entry) } : { status };
  };

  const status = async (caller: Caller, id: string): Promise<Queued & { entry: FoundEntry }> => {
    const found = await findEntry(store, caller.tenant, id);
    if (found?.principal !== caller.principal) throw notFound(id);
    return { ...(await show(found)), entry: found };
  };

  return {
    admission: (caller, run) => admissionOf(deps, caller, run),

    async admit(caller, run) {
      const { commit, refusal } = await admissionOf(deps, caller, run);
      const done = await store.commit(commit);
      if (!done.ok) throw refusal(done) ?? notFound(run.id);
      return status(caller, run.id);
    },

    status,

    find: (tenant, id) => findEntry(store, tenant, id),

    async move(found, event) {
      const { tenant, version } = found;
      const state = moveEntry(found.state, event);
      if (state === undefined) return undefined;
      const movedAt = clock.now();
      const next: FoundEntry = { ...found, state, version: version + 1, movedAt };
      const leaves = found.state.at === 'queued';
      const moved = await store.commit({
        rows: [{ row: rowOf(next, movedAt), when: { version } }], // B1
        ...(leaves ? { counters: [{ key: depthKey(tenant), add: -1 }] } : {}), // B2
        ...timersOf(next),
      });
      return moved.ok ? next : undefined;
    },

    async nudge(tenant, id) {
      const found = await findEntry(store, tenant, id);
      if (found?.state.at !== 'parked') return;
      await store.commit({ timers: [timerOf(found, clock.now())] });
    },
  };
}
