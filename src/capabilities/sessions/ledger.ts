// Owns capability sessions over the store: each change is one event on the session's own chain and its row, in one commit.
//
// Y1  The row is at the version that the event was judged on, or nothing is written and it is judged anew.
// Y2  A foreign session answers exactly like an unknown one.
// Y3  A token is spent by the same compare-and-set, so at most once.
import type { Clock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Ids } from '../../base/ids.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Append, ChainKey, Commit, RowWrite, Store } from '../../store/contract.ts';
import { OPEN_STATUSES, STATUSES } from './capability-session.ts';
import type {
  CapabilityEvent,
  CapabilitySession,
  CapabilityStatus,
  CapabilitySubject,
  ServedRun,
  TokenMark,
} from './capability-session.ts';
import { mintResumeToken, sessionOfToken, tokenDigest } from './resume-token.ts';
import { transition } from './transition.ts';

export interface HeldSession {
  session: CapabilitySession;
  version: number;
}

export type Moved = { ok: true; session: CapabilitySession } | { ok: false; why: string };

/** Whose token is shown. */
export interface TokenHolder {
  tenant: string;
  principal: string;
}

/** And for what. */
export interface TokenUse extends TokenHolder {
  runId: string;
  callId: string;
}

export type OpenedFor = Omit<CapabilitySubject, 'id' | 'openedAt'>;

export interface Ledger {
  open(subject: OpenedFor, run: ServedRun, liveMs: number): Promise<CapabilitySession>;
  /**
   * The part of an approval's commit that opens a session for it, before there is a connection. Given the event that makes
   * the session wait.
   */
  planning(
    subject: OpenedFor,
    run: ServedRun,
    awaited: CapabilityEvent & { type: 'capability_approval_awaited' },
  ): { id: string; commit: Commit };
  get(tenant: string, id: string): Promise<HeldSession | undefined>;
  /** Those of this pool key that have not ended, of whichever process; what changed last first. */
  standing(tenant: string, principal: string, poolKey: string): Promise<HeldSession[]>;
  /** Y1. `beside` is written in the same commit or not at all; `sealed` goes with the event. */
  move(key: SessionKey, event: CapabilityEvent, beside?: Beside): Promise<Moved>;
  /** The part of somebody else's commit that makes these changes; what may not happen now is left out, undefined: all of it. */
  moving(held: HeldSession, events: readonly CapabilityEvent[]): Commit | undefined;
  /** A line on the session's chain that changes no state; in order of the calls. */
  note(key: SessionKey, type: CapabilityNote, evidence: JsonObject): Promise<void>;
  /** A new token; the one before it counts no longer. */
  offer(key: SessionKey, to: Omit<TokenMark, 'digest'>): Promise<string | undefined>;
  /** The call that a token stands for, spent or not; throws as `spend` does. */
  callOf(token: string, holder: TokenHolder): Promise<string>;
  /** Y3. Throws NOT_FOUND for a token that is unknown, foreign, spent, late or for something else, all alike. */
  spend(token: string, use: TokenUse): Promise<CapabilitySession>;
}

export interface SessionKey {
  tenant: string;
  id: string;
}

export interface Beside {
  sealed?: JsonValue;
  evidence?: JsonObject;
  commit?: Commit;
}

/** What stands on the chain beside the events. */
export type CapabilityNote = 'capability_progress_reported' | 'capability_request_refused';

const MAX_ROUNDS = 16;
// One for each process that shares the pool key, and a few more that nobody has looked after yet.
const MAX_STANDING = 20;
const STANDING: readonly CapabilityStatus[] = [...OPEN_STATUSES, 'reinitialize_required'];

function chainOf({ tenant, id }: SessionKey): ChainKey {
  return { tenant, aggregate: 'capability_session', id };
}

function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

function append(key: SessionKey, event: CapabilityEvent, { sealed, evidence }: Beside = {}): Append {
  const { at } = event;
  return {
    chain: chainOf(key),
    when: { epoch: 0 }, // The row settles races.
    type: event.type,
    at,
    evidence: { capability_session_id: key.id, ...plain(event), ...evidence },
    ...(sealed === undefined ? {} : { sealed }),
  };
}

/** What goes under with the connection stands beside its loss; the state keeps none of it once another goes on. */
function withLost({ inputs }: CapabilitySession, { type }: CapabilityEvent, beside: Beside): Beside {
  if (type !== 'capability_session_lost' || inputs.length === 0) return beside;
  const lost = inputs.map(({ inputId, callId }): JsonObject => ({ input_id: inputId, tool_call_id: callId }));
  return { ...beside, evidence: { ...beside.evidence, lost_inputs: lost } };
}

function rowWrite(
  session: CapabilitySession,
  at: number,
  when: RowWrite['when'] & (object | string),
): RowWrite {
  const { subject } = session;
  return {
    row: {
      kind: 'capability_session',
      tenant: subject.tenant,
      id: subject.id,
      principal: subject.principal,
      status: session.status,
      ref: subject.poolKey,
      updatedAt: at,
      body: plain(session),
    },
    when,
  };
}

function opening(
  subject: CapabilitySubject,
  events: readonly CapabilityEvent[],
): { session: CapabilitySession; commit: Commit } {
  let session: CapabilitySession | undefined;
  for (const event of events) {
    const step = transition(session, event);
    if (!step.ok) throw new RuntimeError('INTERNAL', step.why);
    session = step.session;
  }
  if (session === undefined) throw new RuntimeError('INTERNAL', 'nothing opens it');
  return {
    session,
    commit: {
      appends: events.map((event) => append(subject, event)),
      rows: [rowWrite(session, subject.openedAt, 'absent')],
    },
  };
}

function isStatus(text: string): text is CapabilityStatus {
  return (STATUSES as readonly string[]).includes(text);
}

/** The one answer to every token that does not count. */
export function unknownToken(): RuntimeError {
  return new RuntimeError('NOT_FOUND', 'There is nothing to resume under this token.');
}

class StoreLedger implements Ledger {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(parts: { store: Store; clock: Clock; ids: Ids }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#ids = parts.ids;
  }

  async open(given: OpenedFor, run: ServedRun, liveMs: number): Promise<CapabilitySession> {
    const at = this.#clock.now();
    const subject = this.#subject(given, at);
    const event: CapabilityEvent = {
      type: 'capability_session_opened',
      subject,
      run,
      expiresAt: at + liveMs,
      at,
    };
    const { session, commit } = opening(subject, [event]);
    const done = await this.#store.commit(commit);
    if (!done.ok)
      throw new RuntimeError('STORE_UNAVAILABLE', 'The capability session could not be recorded.');
    return session;
  }

  planning(
    given: OpenedFor,
    run: ServedRun,
    awaited: CapabilityEvent & { type: 'capability_approval_awaited' },
  ): { id: string; commit: Commit } {
    const { at, expiresAt } = awaited;
    const subject = this.#subject(given, at);
    const event: CapabilityEvent = {
      type: 'capability_session_opened',
      subject,
      run,
      expiresAt,
      planned: true,
      at,
    };
    return { id: subject.id, commit: opening(subject, [event, awaited]).commit };
  }

  #subject(given: OpenedFor, openedAt: number): CapabilitySubject {
    return { ...given, id: this.#ids.next('cap'), openedAt };
  }

  async get(tenant: string, id: string): Promise<HeldSession | undefined> {
    const row = await this.#store.row('capability_session', tenant, id);
    if (row === undefined || !isStatus(row.status)) return undefined;
    return { session: row.body as unknown as CapabilitySession, version: row.version };
  }

  async standing(tenant: string, principal: string, ref: string): Promise<HeldSession[]> {
    // By status: those that have ended are many, and what still stands may be older than all of them.
    const pages = await Promise.all(
      STANDING.map((status) =>
        this.#store.list({ kind: 'capability_session', tenant, principal, ref, status, limit: MAX_STANDING }),
      ),
    );
    const rows = pages.flatMap(({ items }) => items).sort((a, b) => b.updatedAt - a.updatedAt);
    return rows.map(({ body, version }) => ({ session: body as unknown as CapabilitySession, version }));
  }

  moving({ session, version }: HeldSession, events: readonly CapabilityEvent[]): Commit | undefined {
    const appends: Append[] = [];
    let next = session;
    let at = 0;
    for (const event of events) {
      const step = transition(next, event);
      if (!step.ok) continue;
      next = step.session;
      at = event.at;
      appends.push(append(session.subject, event));
    }
    return appends.length === 0 ? undefined : { appends, rows: [rowWrite(next, at, { version })] };
  }

  async move(key: SessionKey, event: CapabilityEvent, beside: Beside = {}): Promise<Moved> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const held = await this.get(key.tenant, key.id);
      const step = transition(held?.session, event);
      if (held === undefined || !step.ok)
        return { ok: false, why: step.ok ? 'there is no such session' : step.why };
      const { commit = {} } = beside;
      const done = await this.#store.commit({
        ...commit,
        appends: [append(key, event, withLost(held.session, event, beside)), ...(commit.appends ?? [])],
        rows: [rowWrite(step.session, event.at, { version: held.version }), ...(commit.rows ?? [])],
      });
      if (done.ok) return { ok: true, session: step.session };
    }
    throw new RuntimeError('CONFLICT', undefined, { capability_session_id: key.id });
  }

  async note(key: SessionKey, type: CapabilityNote, evidence: JsonObject): Promise<void> {
    const done = await this.#store.commit({
      appends: [
        {
          chain: chainOf(key),
          when: { epoch: 0 },
          type,
          at: this.#clock.now(),
          evidence: { capability_session_id: key.id, ...evidence },
        },
      ],
    });
    if (!done.ok)
      throw new RuntimeError('STORE_UNAVAILABLE', 'The capability session could not be recorded.');
  }

  async offer(key: SessionKey, to: Omit<TokenMark, 'digest'>): Promise<string | undefined> {
    const { token, digest } = mintResumeToken(this.#ids, key.id);
    const at = this.#clock.now();
    const moved = await this.move(key, { type: 'capability_resume_offered', token: { ...to, digest }, at });
    return moved.ok ? token : undefined;
  }

  async callOf(token: string, holder: TokenHolder): Promise<string> {
    return (await this.#marked(token, holder)).callId;
  }

  async spend(token: string, use: TokenUse): Promise<CapabilitySession> {
    const { id, runId, callId } = await this.#marked(token, use);
    if (runId !== use.runId || callId !== use.callId) throw unknownToken();
    const at = this.#clock.now();
    const event: CapabilityEvent = { type: 'capability_session_resumed', digest: tokenDigest(token), at };
    const moved = await this.move({ tenant: use.tenant, id }, event);
    if (!moved.ok) throw unknownToken();
    return moved.session;
  }

  async #marked(token: string, { tenant, principal }: TokenHolder): Promise<TokenMark & { id: string }> {
    const id = sessionOfToken(token);
    const session = id === undefined ? undefined : (await this.get(tenant, id))?.session;
    const mark = session?.subject.principal === principal ? session.token : undefined;
    if (id === undefined || mark?.digest !== tokenDigest(token)) throw unknownToken();
    return { ...mark, id };
  }
}

/** Holds no state of its own. */
export function createLedger(parts: { store: Store; clock: Clock; ids: Ids }): Ledger {
  return new StoreLedger(parts);
}
