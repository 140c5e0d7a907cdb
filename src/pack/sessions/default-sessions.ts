// Owns the session of calls that name none: one per tenant, principal and client connection of this process, begun at
// its first use and followed by a linked successor when it has been idle, is a day old, or has grown long.
import type { Clock, EpochMs } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { SessionBinding } from '../../kernel/call.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import type { PackDeps } from '../deps.ts';
import { TASK_TYPE } from '../records.ts';
import { limitsOf } from '../turn/limits.ts';
import { sessionRow } from '../turn/rows.ts';
import { factsToEvidence } from './session-events.ts';
import { sessionChainOf } from './sessions.ts';
import type { SessionFacts } from './session.ts';

const IDLE_MS = 30 * 60_000;
const LONGEST_MS = 24 * 60 * 60_000;
// A call is at most three records (a wait, a start, an outcome); 10,000 records are then never passed.
const MOST_CALLS = 3_300;

interface Default {
  facts: SessionFacts;
  lastUsed: EpochMs;
  calls: number;
}

export interface DirectCall {
  context: RunContext;
  session: SessionBinding;
}

export interface DefaultSessions {
  /** The run and session of one direct call of this caller; its first use records the session's start. */
  directCall(caller: Caller): Promise<DirectCall>;
  /** The same for a look: no use is counted, and a session that does not exist yet is not begun. */
  directView(caller: Caller): Promise<DirectCall>;
}

function isSpent(held: Default, clock: Clock): boolean {
  const now = clock.now();
  return held.calls >= MOST_CALLS || now - held.lastUsed > IDLE_MS || now - held.facts.startedAt > LONGEST_MS;
}

function newFacts(deps: PackDeps, caller: Caller): SessionFacts {
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
  };
}

function keyOf(caller: Caller): string {
  return [caller.tenant, caller.principal, caller.actor, caller.lane].map(encodeURIComponent).join('|');
}

function bound(deps: PackDeps, caller: Caller, facts: SessionFacts): DirectCall {
  return {
    context: newRun(deps, caller, facts),
    session: {
      id: facts.id,
      startedAt: facts.startedAt,
      actor: facts.actor,
      lane: facts.lane,
      task: facts.task,
      ...(facts.intent === undefined ? {} : { intent: facts.intent }),
    },
  };
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

async function begin(deps: PackDeps, caller: Caller, before: Default | undefined): Promise<Default> {
  const facts = newFacts(deps, caller);
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
    rows: [sessionRow({ facts, context }, progress, at)],
  });
  if (!done.ok) throw new RuntimeError('CONFLICT', 'The session could not be started.');
  return { facts, lastUsed: at, calls: 0 };
}

export function createDefaultSessions(deps: PackDeps): DefaultSessions {
  const held = new Map<string, Promise<Default>>();

  const current = async (caller: Caller): Promise<Default> => {
    const key = keyOf(caller);
    const waiting = held.get(key);
    const known = await waiting?.catch(() => undefined);
    if (known !== undefined && !isSpent(known, deps.clock)) return known;
    // Whoever comes first after the wait begins the successor; the others wait for theirs.
    const successor = held.get(key);
    if (successor !== undefined && successor !== waiting) return successor;
    const begun = begin(deps, caller, known);
    held.set(key, begun);
    return begun;
  };

  return {
    async directCall(caller) {
      const session = await current(caller);
      session.lastUsed = deps.clock.now();
      session.calls += 1;
      return bound(deps, caller, session.facts);
    },
    async directView(caller) {
      const known = await held.get(keyOf(caller))?.catch(() => undefined);
      const isUsed = known !== undefined && !isSpent(known, deps.clock);
      return bound(deps, caller, isUsed ? known.facts : newFacts(deps, caller));
    },
  };
}
