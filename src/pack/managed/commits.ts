// Owns the managed records of a session, each one commit: its admission, the start and the end of an invocation. Every
// commit is guarded by the number of the step that it takes (M2) and fenced by the hold of the run that takes it (H2).
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { Append, Commit, TimerWrite } from '../../store/contract.ts';
import { TASK_TYPE } from '../records.ts';
import { asRead } from '../sessions/own-record.ts';
import { factsToEvidence } from '../sessions/session-events.ts';
import type { LiveState, SessionFacts } from '../sessions/session.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import type { TurnInput, TurnMessage } from '../turn/contract.ts';
import { runRow, sessionRow } from '../turn/rows.ts';
import type { RunStatus } from '../turn/rows.ts';
import { admittedEvidence, endingEvidence, managedEventOf } from './managed-events.ts';
import type { ManagedHeld } from './room.ts';
import { applyManaged } from './state.ts';
import type { Ending, ManagedFacts, ManagedState } from './state.ts';

export function stepCounter(facts: SessionFacts): string {
  return `${encodeURIComponent(facts.tenant)}|managed|${encodeURIComponent(facts.id)}`;
}

export interface NewRecord {
  type: string;
  evidence: JsonObject;
  sealed?: JsonValue;
}

export function contextOfState(caller: Caller, state: LiveState): RunContext {
  const { facts } = state;
  const run = state.run ?? state.lastRun;
  return {
    caller,
    agentId: facts.agentId,
    sessionId: facts.id,
    runId: run?.runId ?? '',
    traceId: run?.traceId ?? '',
    taskType: TASK_TYPE,
    delegation: facts.delegation,
  };
}

const RUN_STATUS: Readonly<Record<ManagedState['status'], RunStatus>> = {
  queued: 'queued',
  active: 'in_progress',
  suspended: 'in_progress',
  waiting_approval: 'waiting_for_approval',
  completed: 'success',
  error: 'failed',
  canceled: 'canceled',
  expired: 'canceled',
};

const DENIALS: ReadonlySet<string> = new Set(['POLICY_DENIED', 'SCOPE_DENIED']);

/** The status of the run; one that was denied has not failed, and one stopped by an unknown effect is not under way. */
function runStatusOf(managed: ManagedState): RunStatus {
  if (managed.status === 'error' && DENIALS.has(managed.error.code)) return 'denied';
  if (managed.status !== 'suspended') return RUN_STATUS[managed.status];
  if (managed.why === 'reconcile') return 'blocked_on_reconciliation';
  return managed.why === 'reply' || managed.why === 'escalated' ? 'success' : 'in_progress';
}

function lookId(sessionId: string): string {
  return `look/${sessionId}`;
}

/**
 * Once a session that waited goes on or has ended nobody has to look at it again; but the workflow of one whose time has
 * passed hears of it by that look.
 */
function overLooks(
  { state: { facts }, managed }: ManagedHeld,
  next: ManagedState,
): Pick<Commit, 'cancelTimers'> {
  const isStillTold = next.status === 'expired' && managed.facts.parent !== undefined;
  if (managed.status !== 'waiting_approval' || isStillTold) return {};
  return { cancelTimers: [{ tenant: facts.tenant, id: lookId(facts.id) }] };
}

/** One managed step: its records, the next number, and what lists show afterwards. */
export function stepCommit(
  at: ManagedHeld,
  caller: Caller,
  records: readonly [NewRecord, ...NewRecord[]],
  { when, now }: { when: Append['when'] | 'each'; now: EpochMs },
): Commit {
  const { held, state, managed } = at;
  const { facts } = state;
  const [first] = records;
  const event = managedEventOf(first.type, first.evidence, state.seq + 1);
  const next = event === undefined ? managed : (applyManaged(managed, event) ?? managed);
  const context = contextOfState(caller, state);
  const placed = { facts, context, held: { state: { callCount: state.callCount, managed: next } } };
  const runStatus = runStatusOf(next);
  const isClosed = state.status === 'closed' || next.status === 'canceled' || next.status === 'expired';
  const progress = {
    status: isClosed ? ('closed' as const) : state.status,
    turnCount: state.turnCount,
    lastStatus: state.turnCount === 0 ? 'none' : next.status,
    runStatus,
  };
  return {
    appends: records.map((record, index) => ({
      chain: held.chain,
      when: when === 'each' ? { seq: state.seq + index } : when,
      at: now,
      ...record,
      evidence: { ...contextFacts(context), ...record.evidence },
    })),
    rows: [
      sessionRow(placed, progress, now),
      // Between two runs there is none whose row could change.
      ...(state.run === undefined ? [] : [runRow(placed, runStatus, { turn_index: state.turnCount }, now)]),
    ],
    counters: [{ key: stepCounter(facts), add: 1 }],
    guards: [{ key: stepCounter(facts), is: managed.step }],
    ...overLooks(at, next),
  };
}

export interface Beginning {
  number: number;
  reason: string;
  instance: string;
  /** Who asked for it; it acts as the session's own actor. */
  askedBy: string;
  maxTurns: number;
  messages: TurnMessage[];
  accepted: string[];
  configDigest: string;
  policyDigest: string;
}

export function startedRecord(begin: Beginning): NewRecord {
  const { messages } = begin;
  return {
    type: 'invocation_started',
    evidence: {
      invocation: begin.number,
      reason: begin.reason,
      instance: begin.instance,
      asked_by: begin.askedBy,
      max_turns: begin.maxTurns,
      config_digest: begin.configDigest,
      policy_digest: begin.policyDigest,
      message_count: messages.length,
      ...(begin.accepted.length === 0 ? {} : { accepted_unknown: begin.accepted }),
    },
    ...(messages.length === 0 ? {} : { sealed: { messages: messages.map((one) => ({ ...one })) } }),
  };
}

export interface Admission {
  facts: SessionFacts;
  context: RunContext;
  input: TurnInput;
  as: 'queued' | 'active';
  managed: Omit<ManagedFacts, 'inputSeq'>;
  /** Its first invocation, begun by whoever holds the session under this epoch. */
  begun?: { record: NewRecord; instance: string; epoch: number };
}

/** What a session is right after its birth. */
function bornState({ as, managed, begun }: Admission): ManagedState {
  const facts = { ...managed, inputSeq: 2 };
  const common = { facts, step: 1, invocations: 0, untaken: [2], accepted: [] };
  if (begun === undefined) return { ...common, status: as };
  return {
    ...common,
    step: 2,
    invocations: 1,
    status: 'active',
    invocation: { number: 1, instance: begun.instance },
  };
}

/** The birth of a managed session: one commit, so that there is never a session without its input. */
export function admissionCommit(admission: Admission): Commit & { appends: Append[] } {
  const { facts, context, input, as, managed, begun } = admission;
  const now = facts.startedAt;
  const chain = sessionChainOf(facts.tenant, facts.id);
  const ids = contextFacts(context);
  const state = bornState(admission);
  const placed = { facts, context, held: { state: { callCount: 0, managed: state } } };
  const runStatus = RUN_STATUS[as];
  // The first turn of a session that is begun follows at once, and so its rows speak of it.
  const [turnCount, lastStatus, run] =
    begun === undefined ? [0, 'none', {}] : [1, 'in_progress', { turn_index: 0 }];
  const progress = { status: 'open', turnCount, lastStatus, runStatus } as const;
  const appends: Append[] = [
    {
      chain,
      when: { seq: 0 },
      type: 'session_started',
      at: now,
      evidence: { ...ids, ...factsToEvidence(facts) },
    },
    {
      chain,
      when: { seq: 1 },
      type: 'session_admitted',
      at: now,
      evidence: { ...ids, ...admittedEvidence(as, managed), message_count: input.messages.length },
      sealed: { input: asRead(input as unknown as JsonObject) },
    },
  ];
  if (begun !== undefined) {
    const { record, epoch } = begun;
    appends.push({
      chain,
      when: { epoch },
      at: now,
      ...record,
      evidence: { ...ids, ...record.evidence },
    });
  }
  return {
    appends,
    rows: [sessionRow(placed, progress, now), runRow(placed, runStatus, run, now)],
    counters: [{ key: stepCounter(facts), add: state.step }],
  };
}

export function endedRecord(number: number, ending: Ending): NewRecord {
  return { type: 'invocation_ended', evidence: { invocation: number, ...endingEvidence(ending) } };
}

/** When a session that waits for a person since then is looked at again, so that one that waits too long ends by itself. */
export function waitTimers(
  { controls }: RuntimeConfig,
  { state: { facts }, managed }: ManagedHeld,
  since: EpochMs,
): TimerWrite[] {
  if (controls.onExpiry !== 'cancel_run') return [];
  const { tenant, id, principal } = facts;
  const { workflow_id, node_id } = managed.facts.parent ?? {};
  const of = workflow_id === undefined || node_id === undefined ? {} : { workflow_id, node_id };
  const payload = { do: 'look', session_id: id, principal, agent_id: facts.agentId, ...of };
  return [{ tenant, id: lookId(id), dueAt: since + controls.maxWaitSeconds * 1000, payload }];
}
