// Owns the capability sessions of this process's open connections: each gets its record at its first call, is linked to
// the one it continues, and its end is recorded with the reason.
//
// Z1  A connection that no call used has no record: looking at a list of tools costs none.
// Z2  A session of a process that is gone is lost, with every question it had open, and is said so before another
//     continues it.
// Z3  A session that was opened for an approval has no process until a connection is made for it; that one takes it over.
// Z4  What another process that lives holds or has lost is not this one's: neither asked for here nor continued.
import type { Clock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { CapabilitySessionControls, DownstreamServer } from '../../config/types.ts';
import type { LostConnection } from '../../kernel/deps.ts';
import type { Execution } from '../../kernel/execution/executor.ts';
import type { RunContext } from '../../kernel/identity.ts';
import type { Commit } from '../../store/contract.ts';
import type { PoolIdentity } from '../downstreams.ts';
import type { Session } from '../session.ts';
import type { CapabilityEvent, CapabilitySession, LossCause, ServedRun } from './capability-session.ts';
import type { HeldSession, Ledger, OpenedFor, SessionKey } from './ledger.ts';
import { Refusals } from './refusals.ts';
import type { Refused } from './refusals.ts';

export interface LiveParts {
  ledger: Ledger;
  clock: Clock;
  controls: CapabilitySessionControls;
  owner: string;
  instance: string;
  policyDigest: string;
  isAlive: (instance: string) => Promise<boolean>;
  /** Takes secrets out of what a server says. */
  redact: (text: string) => string;
  /** A change that could not be recorded; the next who looks finds the session as it was. */
  onUnrecorded?: (what: string, thrown: unknown) => void;
}

/** Which connection, for whom, in which run. */
export interface Through {
  server: DownstreamServer;
  who: PoolIdentity;
  poolKey: string;
  run: ServedRun;
}

export interface Use extends Through {
  /** A person's word for the call, and the lost session that may be built anew by it. */
  approved: Execution['approved'];
}

export function servedRun({ runId, traceId }: RunContext): ServedRun {
  return { runId, traceId };
}

/** Details of the error by which a session that must not be built anew by itself is told from any other failure. */
export const LOST_SESSION = 'lost_session';

/** What is replaced by policy for a call that was approved is agreed to with the call. */
function isAgreed(lost: CapabilitySession, { approved }: Use): boolean {
  if (approved === undefined) return false;
  const isReplaced = lost.status === 'reinitialize_required' && lost.cause === 'resume_policy';
  return isReplaced || approved.reinitializes === lost.subject.id;
}

function causeOf(session: Session): LossCause {
  const why = session.closedBecause();
  if (why === 'idle') return 'idle_limit';
  if (why === 'max_wait') return 'max_wait';
  if (why === 'replaced') return 'resume_policy';
  return session.loss() ?? 'connection_lost';
}

export class LiveSessions {
  readonly parts: LiveParts;
  readonly #keys = new WeakMap<Session, Promise<SessionKey>>();
  readonly #ends = new WeakMap<Session, Promise<void>>();
  readonly #refusals = new WeakMap<Session, Refusals>();
  readonly #writing = new Set<Promise<void>>();

  constructor(parts: LiveParts) {
    this.parts = parts;
  }

  get liveMs(): number {
    return this.parts.controls.idleSeconds * 1000;
  }

  /** The record of an open connection; made at its first call (Z1). */
  of(session: Session, use: Use): Promise<SessionKey> {
    const known = this.#keys.get(session);
    if (known !== undefined) return known;
    const made = this.#open(session, use);
    this.#keys.set(session, made);
    made.catch(() => this.#keys.delete(session));
    return made;
  }

  /** On record once this resolves, or one of a number that will be. */
  refused(session: Session, refused: Refused): Promise<void> {
    return this.#refusals.get(session)?.add(refused) ?? Promise.resolve();
  }

  /** Resolves once the end of a connection that is ending is on record. */
  async ended(session: Session): Promise<void> {
    await session.ended;
    await this.#ends.get(session);
  }

  /** The session that the next call would go through, where it has to be built anew. */
  async lost(who: PoolIdentity, poolKey: string): Promise<LostConnection | undefined> {
    const session = (await this.#standing(who, poolKey))?.session;
    if (session?.status !== 'reinitialize_required') return undefined;
    return { id: session.subject.id, askedSince: session.askedSince ?? [] };
  }

  /**
   * The part of an approval's commit that makes the session wait for it: the one that stands, or one that is planned. Undefined
   * while somebody else moves it: look again.
   */
  async awaiting(
    through: Through,
    { approvalId, at, until }: { approvalId: string; at: number; until: number },
  ): Promise<{ id: string; commit: Commit } | undefined> {
    const { ledger } = this.parts;
    const { run } = through;
    const event = { type: 'capability_approval_awaited', approvalId, run, at } as const;
    const held = await this.#standing(through.who, through.poolKey);
    if (held === undefined) {
      return ledger.planning(this.#opened(through), run, { ...event, expiresAt: until });
    }
    const { expiresAt, planned } = held.session;
    const commit = ledger.moving(held, [{ ...event, expiresAt: planned === true ? until : expiresAt }]);
    return commit === undefined ? undefined : { id: held.session.subject.id, commit };
  }

  /** Waits for what is being written. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /**
   * What the next connection of this process goes on from: its own session; else one that is planned; else one whose process is
   * gone (Z2). What another process that lives holds, or has lost, is that one's to go on from (Z4).
   */
  async #standing({ tenant, principal }: PoolIdentity, poolKey: string): Promise<HeldSession | undefined> {
    const { ledger, instance, isAlive } = this.parts;
    const standing = await ledger.standing(tenant, principal, poolKey);
    const isPlanned = ({ session }: HeldSession): boolean => session.planned === true;
    const held = standing.filter((one) => !isPlanned(one));
    const own = held.find(({ session }) => session.subject.instance === instance) ?? standing.find(isPlanned);
    if (own !== undefined) return own;
    for (const one of held) {
      if (await isAlive(one.session.subject.instance)) continue;
      const left = await this.#leftBehind(one);
      if (left !== undefined) return left;
    }
    return undefined;
  }

  /** Z2; undefined where it has ended with that. */
  async #leftBehind(held: HeldSession): Promise<HeldSession | undefined> {
    const { ledger, clock, controls } = this.parts;
    const { subject, status } = held.session;
    if (status === 'reinitialize_required') return held;
    const event: CapabilityEvent = {
      type: 'capability_session_lost',
      cause: 'host_gone',
      then: controls.onExpiry === 'cancel' ? 'cancel' : 'reinitialize',
      at: clock.now(),
    };
    await ledger.move(subject, event, { evidence: { signal_owner: controls.expirySignalOwner } });
    const now = await ledger.get(subject.tenant, subject.id);
    return now?.session.status === 'reinitialize_required' ? now : undefined;
  }

  async #open(session: Session, use: Use): Promise<SessionKey> {
    const { ledger, controls } = this.parts;
    // The end of the connection before this one may still be on its way to the record.
    await this.settled();
    const before = await this.#standing(use.who, use.poolKey);
    const isLost = before?.session.status === 'reinitialize_required';
    if (isLost && controls.reinitRequiresApproval && !isAgreed(before.session, use)) {
      throw new RuntimeError('CAPABILITY_SESSION_EXPIRED', undefined, {
        [LOST_SESSION]: before.session.subject.id,
      });
    }
    const planned = await this.#connectPlanned(before?.session, use);
    const opened = planned ?? (await this.#record(use, isLost ? before.session : undefined));
    const key = { tenant: use.who.tenant, id: opened.subject.id };
    if (isLost) {
      const at = this.parts.clock.now();
      const event: CapabilityEvent = { type: 'capability_session_reinitialized', successor: key.id, at };
      await ledger.move({ tenant: key.tenant, id: before.session.subject.id }, event);
    }
    this.#watch(session, key);
    return key;
  }

  /** Z3: one that was opened for an approval before there was a connection, unless another process was first. */
  async #connectPlanned(
    before: CapabilitySession | undefined,
    { run }: Use,
  ): Promise<CapabilitySession | undefined> {
    if (before?.planned === undefined) return undefined;
    const { ledger, clock, instance } = this.parts;
    const { tenant, id } = before.subject;
    const at = clock.now();
    const event: CapabilityEvent = {
      type: 'capability_session_connected',
      ...{ instance, run, expiresAt: at + this.liveMs, at },
    };
    const moved = await ledger.move({ tenant, id }, event);
    return moved.ok ? moved.session : undefined;
  }

  #record(use: Use, from: CapabilitySession | undefined): Promise<CapabilitySession> {
    const linked = from === undefined ? {} : { reinitializedFrom: from.subject.id };
    return this.parts.ledger.open({ ...this.#opened(use), ...linked }, use.run, this.liveMs);
  }

  #opened({ server, who, poolKey }: Through): OpenedFor {
    const { owner, instance, policyDigest } = this.parts;
    const { tenant, principal } = who;
    const { name, transport } = server;
    return { tenant, principal, server: name, transport, owner, poolKey, policyDigest, instance };
  }

  #watch(session: Session, key: SessionKey): void {
    const refusals = this.#refusalsOf(key);
    this.#refusals.set(session, refusals);
    session.onRefusal({
      refused: (one) => refusals.addLater(one),
      left: (count) => refusals.leave(count),
    });
    const ended = session.ended.then(() => {
      refusals.end();
      return this.#write('the end of a session', () => this.#recordEnd(session, key));
    });
    this.#ends.set(session, ended);
  }

  #refusalsOf(key: SessionKey): Refusals {
    const { ledger, clock, redact } = this.parts;
    const note = (evidence: JsonObject): Promise<void> =>
      ledger.note(key, 'capability_request_refused', evidence);
    const noteLater = (evidence: JsonObject): void => {
      void this.#write('a refused request', () => note(evidence));
    };
    return new Refusals({ clock, redact, note, noteLater });
  }

  async #recordEnd(session: Session, key: SessionKey): Promise<void> {
    const { ledger, clock, controls } = this.parts;
    const at = clock.now();
    const why = session.closedBecause();
    if (why === 'closed') {
      await ledger.move(key, { type: 'capability_session_completed', reason: 'closed in good order', at });
      return;
    }
    const isCanceled = controls.onExpiry === 'cancel' && why !== 'replaced';
    const then = isCanceled ? 'cancel' : 'reinitialize';
    const event: CapabilityEvent = { type: 'capability_session_lost', cause: causeOf(session), then, at };
    await ledger.move(key, event, { evidence: { signal_owner: controls.expirySignalOwner } });
  }

  #write(what: string, work: () => Promise<void>): Promise<void> {
    const writing = work()
      .catch((thrown: unknown) => this.parts.onUnrecorded?.(what, thrown))
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
    return writing;
  }
}
