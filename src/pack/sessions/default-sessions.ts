// Owns the session of calls that name none: one per tenant, principal and client connection of this process, begun at
// its first use and followed by a linked successor when it has been idle, is a day old, has grown long, or is bound to what
// the configuration says no more.
//
// D1  Memory holds the most lately used; where each of this process is, its row says, so one that was dropped is found again.
// D2  What is found again is what its records say: whose it is, when it was last used, how long it has grown.
// D3  Nobody can end it and begin another, so its budgets are rates: with its time all of them begin anew.
// D4  They are the process's: a configuration that is taken while it serves goes on with those of the one before.
// D5  Those that follow each other are one line. A person's word is bound to the line, so that it does not end with the session
//     it was asked in; budgets are not.
import type { EpochMs } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import { digestJson } from '../../base/digest.ts';
import type { JsonObject } from '../../base/json.ts';
import type { SessionBinding } from '../../kernel/call.ts';
import type { RequestStatus } from '../../kernel/evidence/receipts.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import type { RowWrite, Store } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import { TASK_TYPE } from '../records.ts';
import { limitsOf } from '../turn/limits.ts';
import { sessionRow } from '../turn/rows.ts';
import { eventOf, factsToEvidence, readable } from './session-events.ts';
import { sessionChainOf } from './sessions.ts';
import { ABSENT, apply } from './session.ts';
import type { SessionFacts } from './session.ts';

const IDLE_MS = 30 * 60_000;
/** No call is added to one that is older. */
export const LONGEST_MS: number = 24 * 60 * 60_000;
// A call is at most three records (a wait, a start, an outcome); 10,000 records are then never passed.
const RECORDS_A_CALL = 3;
const MOST_CALLS = 3_300;
// How long one that has been erased may still be used: nothing of what it said is, but rules see no past there.
const LOOK_MS = 5_000;
// Under a kilobyte each; more principals than this are rarely at work in the same minutes.
const MOST_HELD = 1_024;

interface Default {
  facts: SessionFacts;
  lastUsed: EpochMs;
  calls: number;
  /** When it was last seen not to be erased. */
  lookedAt: EpochMs;
}

/** Those of this process (D4). */
export interface OpenDefaults {
  /** What their places are named by. */
  readonly process: string;
  /** In the order of use, so that the first is the longest unused. */
  readonly held: Map<string, Default>;
  /** Being looked for or begun: whoever comes meanwhile gets the same. */
  readonly coming: Map<string, Promise<Default>>;
  /** While none was dropped, one that is not held was never begun. */
  hasDropped: boolean;
}

export function openDefaults(process: string): OpenDefaults {
  return { process, held: new Map(), coming: new Map(), hasDropped: false };
}

export interface DirectCall {
  context: RunContext;
  session: SessionBinding;
  /** The call that is asked for once more; undefined: it is a new one. */
  toolCallId?: string;
}

export interface DefaultSessions {
  /**
   * The run and session of one direct call of this caller; its first use records the session's start. A call that is asked for
   * once more is answered in the session that it has begun in; one that has not begun there begins in the one of now.
   */
  directCall(caller: Caller, toolCallId?: string): Promise<DirectCall>;
  /** The same for a look: no use is counted, and a session that does not exist yet is not begun. */
  directView(caller: Caller): Promise<DirectCall>;
  /** How many are in memory (D1). */
  readonly held: number;
}

function isSpent({ facts, lastUsed, calls }: Default, { clock, config }: PackDeps): boolean {
  // What a session is bound to for as long as it lives (D4).
  if (facts.agentId !== config.agent.id || facts.intent !== config.runtime.gatewayIntent) return true;
  const now = clock.now();
  const age = now - facts.startedAt;
  const { loopBudget, cycle } = config.policy;
  const { maxWallSeconds = Infinity } = loopBudget; // D3; no sooner than a loop would be noticed
  const most = Math.max(maxWallSeconds, cycle.windowSeconds) * 1000;
  return calls >= MOST_CALLS || now - lastUsed > IDLE_MS || age > LONGEST_MS || age >= most;
}

function newFacts(deps: PackDeps, caller: Caller, before: Default | undefined): SessionFacts {
  const { config, ids, clock } = deps;
  const intent = config.runtime.gatewayIntent;
  return {
    id: ids.next('ses'),
    kind: 'default',
    tenant: caller.tenant,
    principal: caller.principal,
    actor: caller.actor,
    agentId: config.agent.id,
    lane: caller.lane,
    task: TASK_TYPE,
    ...(intent === undefined ? {} : { intent }),
    limits: limitsOf(config.limits),
    delegation: NO_DELEGATION,
    startedAt: clock.now(),
    ...(before === undefined ? {} : { line: before.facts.line ?? before.facts.id }), // D5
  };
}

function keyOf(caller: Caller): string {
  return [caller.tenant, caller.principal, caller.actor, caller.lane].map(encodeURIComponent).join('|');
}

/** Of this process and of whoever calls so; a name of its own length would be too long for some. */
function placeOf(process: string, caller: Caller): { tenant: string; id: string } {
  return { tenant: caller.tenant, id: `default:${digestJson([process, keyOf(caller)])}` };
}

function placeRow(process: string, caller: Caller, { id, startedAt }: SessionFacts): RowWrite {
  const { principal } = caller;
  const body: JsonObject = { session_id: id };
  const row = { kind: 'process', principal, status: 'current', updatedAt: startedAt, body } as const;
  return { row: { ...row, ...placeOf(process, caller) } };
}

async function factsFrom(store: Store, tenant: string, id: string): Promise<SessionFacts | undefined> {
  const [first] = await store.read(sessionChainOf(tenant, id), 1, 1);
  const begun = first === undefined ? ABSENT : apply(ABSENT, eventOf(readable(first)));
  return begun.status === 'absent' ? undefined : begun.facts;
}

/** The one that this process began last for this caller, spent or not (D2). */
async function recall(store: Store, process: string, caller: Caller): Promise<Default | undefined> {
  const { tenant, id: place } = placeOf(process, caller);
  const id = (await store.row('process', tenant, place))?.body.session_id;
  if (typeof id !== 'string') return undefined;
  const facts = await factsFrom(store, tenant, id);
  const head = await store.head(sessionChainOf(tenant, id));
  if (facts === undefined || head === undefined) return undefined;
  const [last] = await store.read(sessionChainOf(tenant, id), head.seq, 1);
  const lastUsed = last?.header.at ?? facts.startedAt;
  return { facts, lastUsed, calls: Math.ceil((head.seq - 1) / RECORDS_A_CALL), lookedAt: 0 };
}

function bound(deps: PackDeps, caller: Caller, facts: SessionFacts): DirectCall {
  const { id, startedAt, actor, lane, task, intent, line } = facts;
  const session: SessionBinding = { id, startedAt, actor, lane, task, countsResults: true };
  if (intent !== undefined) session.intent = intent;
  if (line !== undefined) session.line = line;
  return { context: newRun(deps, caller, facts), session };
}

function newRun(deps: PackDeps, caller: Caller, facts: SessionFacts): RunContext {
  return {
    caller,
    agentId: facts.agentId,
    sessionId: facts.id,
    runId: deps.ids.next('run'),
    traceId: deps.ids.next('trace'),
    taskType: TASK_TYPE,
    delegation: NO_DELEGATION,
  };
}

interface Beginning {
  process: string;
  before: Default | undefined;
}

async function begin(deps: PackDeps, caller: Caller, { process, before }: Beginning): Promise<Default> {
  const facts = newFacts(deps, caller, before);
  const context = newRun(deps, caller, facts);
  const at = facts.startedAt;
  const link: JsonObject = before === undefined ? {} : { predecessor_id: before.facts.id };
  const progress = { status: 'open', turnCount: 0, lastStatus: 'none', runStatus: 'in_progress' } as const;
  const done = await deps.store.commit({
    appends: [
      {
        chain: sessionChainOf(facts.tenant, facts.id),
        when: { seq: 0 },
        type: 'session_started',
        at,
        evidence: { ...contextFacts(context), ...factsToEvidence(facts), ...link },
      },
    ],
    rows: [sessionRow({ facts, context }, progress, at), placeRow(process, caller, facts)],
  });
  if (!done.ok) throw new RuntimeError('CONFLICT', 'The session could not be started.');
  return { facts, lastUsed: at, calls: 0, lookedAt: at };
}

function isOf({ kind, tenant, principal, actor, lane }: SessionFacts, caller: Caller): boolean {
  return kind === 'default' && keyOf({ ...caller, tenant, principal, actor, lane }) === keyOf(caller);
}

/** Where nothing of a call has been started, and it is decided anew whenever it is asked for. */
const UNBEGUN: ReadonlySet<string> = new Set<RequestStatus>(['waiting_approval', 'denied']);

async function wasErased({ store }: PackDeps, { tenant, id }: SessionFacts): Promise<boolean> {
  return (await store.row('session', tenant, id))?.body.erased_at !== undefined;
}

class HeldDefaults implements DefaultSessions {
  readonly #deps: PackDeps;
  readonly #open: OpenDefaults;
  /** The key of each caller that is at hand; a connection has one. */
  readonly #keys = new WeakMap<Caller, string>();

  constructor(deps: PackDeps, open: OpenDefaults) {
    this.#deps = deps;
    this.#open = open;
  }

  get held(): number {
    return this.#open.held.size;
  }

  async directCall(caller: Caller, toolCallId?: string): Promise<DirectCall> {
    const session = await this.#current(caller);
    session.lastUsed = this.#deps.clock.now();
    session.calls += 1;
    const call = bound(this.#deps, caller, session.facts);
    return toolCallId === undefined ? call : this.#again(caller, call, toolCallId);
  }

  /** Of somebody else's call, and of one that nobody knows, the door says what there is to say. */
  async #again(caller: Caller, now: DirectCall, toolCallId: string): Promise<DirectCall> {
    const { store } = this.#deps;
    const row = await store.row('request', caller.tenant, toolCallId);
    const of = row?.body.session_id;
    const isHere = row === undefined || typeof of !== 'string' || of === now.session.id;
    const facts = isHere ? undefined : await factsFrom(store, caller.tenant, of);
    if (row === undefined || facts === undefined || !isOf(facts, caller)) return { ...now, toolCallId };
    return UNBEGUN.has(row.status) ? now : { ...bound(this.#deps, caller, facts), toolCallId };
  }

  async directView(caller: Caller): Promise<DirectCall> {
    const deps = this.#deps;
    const key = this.#keyOf(caller);
    await this.#open.coming.get(key)?.catch(() => undefined);
    const known = await this.#known(key, caller);
    const isUsed = known !== undefined && !isSpent(known, deps);
    return bound(deps, caller, isUsed ? known.facts : newFacts(deps, caller, known));
  }

  #keyOf(caller: Caller): string {
    let key = this.#keys.get(caller);
    if (key === undefined) {
      key = keyOf(caller);
      this.#keys.set(caller, key);
    }
    return key;
  }

  #current(caller: Caller): Promise<Default> {
    const key = this.#keyOf(caller);
    const coming = this.#open.coming.get(key);
    if (coming !== undefined) return coming.then((one) => this.#unspent(one, caller));
    const held = this.#open.held.get(key);
    const isKnown = held !== undefined && this.#deps.clock.now() - held.lookedAt < LOOK_MS;
    if (isKnown && !isSpent(held, this.#deps)) return Promise.resolve(this.#hold(key, held));
    const found = this.#find(key, caller).finally(() => this.#open.coming.delete(key));
    this.#open.coming.set(key, found);
    return found;
  }

  /** What comes may have been begun under another configuration. */
  #unspent(session: Default, caller: Caller): Default | Promise<Default> {
    return isSpent(session, this.#deps) ? this.#current(caller) : session;
  }

  async #find(key: string, caller: Caller): Promise<Default> {
    const deps = this.#deps;
    const known = await this.#known(key, caller);
    if (known !== undefined && !isSpent(known, deps) && !(await wasErased(deps, known.facts))) {
      known.lookedAt = deps.clock.now();
      return this.#hold(key, known);
    }
    return this.#hold(key, await begin(deps, caller, { process: this.#open.process, before: known }));
  }

  async #known(key: string, caller: Caller): Promise<Default | undefined> {
    const held = this.#open.held.get(key);
    const { process, hasDropped } = this.#open;
    return held ?? (hasDropped ? await recall(this.#deps.store, process, caller) : undefined);
  }

  #hold(key: string, session: Default): Default {
    this.#open.held.delete(key);
    this.#open.held.set(key, session);
    const oldest = this.#open.held.keys().next();
    if (this.#open.held.size > MOST_HELD && oldest.done !== true) {
      this.#open.held.delete(oldest.value);
      this.#open.hasDropped = true;
    }
    return session;
  }
}

export function createDefaultSessions(deps: PackDeps): DefaultSessions {
  return new HeldDefaults(deps, deps.defaults ?? openDefaults(deps.instance));
}
