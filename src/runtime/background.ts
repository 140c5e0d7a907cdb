// Owns what the worker does with what is due: it carries sessions and workflows on as their own principal, with the roles
// and scopes that the configuration gives that principal now.
import { isoTime } from '../base/clock.ts';
import type { Clock, EpochMs } from '../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Advanced, BackgroundRun, Runs, WaitingSession } from '../pack/background/worker.ts';
import type { ManagedPack } from '../pack/managed/managed-sessions.ts';
import type { ManagedResult, RunManaged } from '../pack/managed/contract.ts';
import type { SuspendedWhy } from '../pack/managed/state.ts';
import type { Queue } from '../pack/background/queue.ts';
import type { WakePayload, WorkflowResult, Workflows } from '../pack/workflows/contract.ts';
import type { CallerOf } from './configured-callers.ts';

export interface RunsDeps {
  clock: Clock;
  queue: Queue;
  managed: ManagedPack;
  workflows: () => Promise<Workflows>;
  callerOf: CallerOf;
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
}

// An answer given in this process wakes a parked run at once; one from elsewhere is looked for, the longer the wait the
// more seldom.
const SOONEST_LOOK_MS = 1000;
const LATEST_LOOK_MS = 60_000;
/** How long a run that somebody else holds is left alone. */
const HELD_MS = 15_000;

function ended(how: 'completed' | 'failed' | 'canceled', reason: string): Advanced {
  return { type: 'ended', how, reason };
}

/** It has not ended, and no worker can carry it on as things are. */
function givenUp(code: ErrorCode, reason: string): Advanced {
  return { type: 'ended', how: 'failed', reason, givenUp: code };
}

/** It was stopped, or never began: whoever takes it next does all that it was taken for. */
function heldUp(until: EpochMs): Advanced {
  return { type: 'parked', why: 'time', until, isHeldUp: true };
}

/** What both kinds of work can end an invocation with, or wait for. */
type Stopped = { over?: boolean } & (
  | { kind: 'completed' }
  /** wakeAt: when a branch beside it that somebody else is at is to be tried again. */
  | { kind: 'approval_required'; wakeAt?: string }
  | { kind: 'scheduled'; next_wake_at: string }
  | { kind: 'canceled' | 'expired'; reason: string }
  /** Of one branch, where there is a time: the others go on at it, and what only a person can resume is left. */
  | { kind: 'suspended'; why?: SuspendedWhy; reason: string; wakeAt?: string }
  | { kind: 'error'; error: { code: string }; wakeAt?: string }
);

function goingOn(wakeAt: string | undefined): Advanced | undefined {
  return wakeAt === undefined ? undefined : { type: 'parked', why: 'time', until: Date.parse(wakeAt) };
}

function afterSuspension(
  { why, reason, wakeAt }: Extract<Stopped, { kind: 'suspended' }>,
  now: EpochMs,
  isStopped: boolean,
): Advanced {
  // A worker that is told to stop leaves the run to the next one.
  if (isStopped) return heldUp(now);
  // Whoever runs a call or a turn of it will be done with that; nobody has to resume it.
  if (why === 'busy') return { type: 'parked', why: 'time', until: now + HELD_MS };
  return goingOn(wakeAt) ?? ended('completed', `suspended: ${reason}`);
}

function after(result: Stopped, now: EpochMs, at: { look: EpochMs; stopped: boolean }): Advanced {
  // Whatever one branch of a workflow waits for or came to, the stop broke off others, which go on with the next worker.
  if (at.stopped && result.over === false) return heldUp(now);
  switch (result.kind) {
    case 'completed':
      return ended('completed', 'completed');
    case 'approval_required':
      return goingOn(result.wakeAt) ?? { type: 'parked', why: 'approval', until: at.look };
    case 'scheduled':
      return { type: 'parked', why: 'time', until: Date.parse(result.next_wake_at) };
    case 'suspended':
      return afterSuspension(result, now, at.stopped);
    case 'canceled':
      return ended('canceled', result.reason);
    case 'expired':
      return ended('failed', `expired: ${result.reason}`);
    case 'error':
      return goingOn(result.wakeAt) ?? ended('failed', result.error.code);
  }
}

/** The approvals that a session waits for: a call whose own is given goes on, whatever else is still asked. */
function askedBy(result: ManagedResult | undefined): string[] {
  if (result?.kind !== 'approval_required') return [];
  const others = result.history.flatMap(({ tool_output: output }) => {
    const id = output?.status === 'approval_required' ? output.approval?.approval_id : undefined;
    return id === undefined ? [] : [id];
  });
  return [...new Set([result.pending_request_id, ...others])];
}

/** The approvals that each session of a run waits for. */
async function awaited(
  { managed, workflows }: RunsDeps,
  caller: Caller,
  { id, kind }: BackgroundRun,
): Promise<string[][]> {
  if (kind === 'session') {
    const asked = askedBy(await managed.result(caller, id));
    return asked.length === 0 ? [] : [asked];
  }
  const { waiting_nodes: nodes } = await (await workflows()).inspect(caller, id);
  const found: string[][] = [];
  for (const node of nodes) {
    if (node.needs !== 'approval') continue;
    const session = node.session_id === undefined ? undefined : await managed.result(caller, node.session_id);
    found.push([...new Set([node.pending_request_id, ...askedBy(session)])]);
  }
  return found;
}

/** A call that somebody else began is theirs to end; until it has, or the others are answered, nothing goes on. */
function goesOn(asked: readonly (Approval | undefined)[]): boolean {
  const isOpen = asked.some((one) => one?.state === 'pending');
  return asked.some((one) => one?.state !== 'pending' && !(isOpen && one?.state === 'consumed'));
}

interface Waits {
  /** How many sessions wait, and how many of them have an answer to go on with. */
  asked: number;
  answered: number;
  /** When to look for answers next. */
  look: EpochMs;
}

async function waits(deps: RunsDeps, caller: Caller, run: BackgroundRun): Promise<Waits> {
  const now = deps.clock.now();
  const ids = await awaited(deps, caller, run);
  const asked = await Promise.all(
    ids.map((of) => Promise.all(of.map((id) => deps.approvalFor(run.tenant, id)))),
  );
  const open = asked
    .flat()
    .flatMap((one) => (one?.state === 'pending' ? [now - one.subject.requestedAt] : []));
  const wait = Math.min(Math.max(Math.max(0, ...open) / 4, SOONEST_LOOK_MS), LATEST_LOOK_MS);
  return { asked: ids.length, answered: asked.filter(goesOn).length, look: now + wait };
}

/**
 * When the first node goes on without anybody: at its time, or once whoever runs a call or a turn of it is done with that.
 * Beside one that waits for a person times are left to their own timers, since each look would resume the whole workflow.
 */
function wakeOf({ kind, waiting_nodes: nodes }: WorkflowResult, now: EpochMs): string | undefined {
  const isBusy = nodes.some((one) => one.needs === 'resume' && one.why === 'busy');
  const times = nodes.flatMap((one) => (one.needs === 'time' ? [one.wake_at] : []));
  const held = isBusy ? [isoTime(now + HELD_MS)] : [];
  return (kind === 'approval_required' ? held : [...times, ...held]).sort()[0];
}

async function invoke(
  deps: RunsDeps,
  caller: Caller,
  run: BackgroundRun,
  signal: AbortSignal,
): Promise<Stopped> {
  const { maxTurns } = run;
  const callerNow = (): Caller | undefined => deps.callerOf(run.tenant, run.principal);
  if (run.kind === 'workflow') {
    const bound = maxTurns === undefined ? {} : { maxTurnsPerInvocation: maxTurns };
    const tries = run.asked ? ('all' as const) : ('unasked' as const);
    const how = { reason: 'wakeup' as const, tries, callerNow, ...bound };
    const result = await (await deps.workflows()).resume(caller, run.id, how, { signal });
    const wakeAt = wakeOf(result, deps.clock.now());
    const isOneBranch =
      result.kind === 'error' || result.kind === 'suspended' || result.kind === 'approval_required';
    return isOneBranch && wakeAt !== undefined ? { ...result, wakeAt } : result;
  }
  const status = await deps.managed.status(caller, run.id);
  const reason = status === 'queued' ? 'created' : status === 'waiting_approval' ? 'approval' : 'wakeup';
  const how: RunManaged = { reason, callerNow, ...(maxTurns === undefined ? {} : { maxTurns }) };
  return deps.managed.run(caller, run.id, how, { signal });
}

/** Nobody can say who it is, while what says so cannot be read: no try of the run, which waits. */
function ownerOf(deps: RunsDeps, { tenant, principal }: BackgroundRun): Caller | undefined | 'unsaid' {
  try {
    return deps.callerOf(tenant, principal);
  } catch {
    return 'unsaid';
  }
}

async function advance(deps: RunsDeps, run: BackgroundRun, signal: AbortSignal): Promise<Advanced> {
  const caller = ownerOf(deps, run);
  if (caller === 'unsaid') return heldUp(deps.clock.now() + HELD_MS);
  if (caller === undefined)
    return givenUp('POLICY_DENIED', 'The configuration no longer knows the principal whose run this is.');
  const result = await invoke(deps, caller, run, signal);
  const { look } = await waits(deps, caller, run);
  return after(result, deps.clock.now(), { look, stopped: signal.aborted });
}

interface Refusal {
  thrown: unknown;
  /** This worker was told to stop meanwhile. */
  stopped: boolean;
}

function endedBefore(status: unknown): Advanced {
  const reason = 'it had ended before';
  if (status === 'canceled') return ended('canceled', reason);
  return status === 'expired' || status === 'error' ? ended('failed', reason) : ended('completed', reason);
}

/** What a run that could not be carried on comes to; anything that may pass is thrown on, and tried again later. */
function refused(now: EpochMs, { thrown, stopped }: Refusal): Advanced {
  const { code, message, details } = asRuntimeError(thrown);
  // What the configuration, or what it is, refuses it now is refused at the next try too.
  if (code === 'INVALID_INPUT' || code === 'POLICY_DENIED') return givenUp(code, message);
  if (code === 'SESSION_CLOSED') return endedBefore(details.status);
  if (code === 'NOT_FOUND') return ended('failed', 'its records are gone');
  // Its holder goes on with it: what it was taken for in vain is no try that failed.
  if (details.reason === 'run_held') return heldUp(now + HELD_MS);
  // Left at once: thrown on, it would lie until the time its timer was taken for is over.
  if (stopped) return heldUp(now);
  throw thrown;
}

async function lookAt(
  deps: RunsDeps,
  { tenant, principal, id, of }: WaitingSession,
  signal: AbortSignal,
): Promise<'done' | 'unknown_principal'> {
  const caller = deps.callerOf(tenant, principal);
  if (caller === undefined) return 'unknown_principal';
  const status = await deps.managed.status(caller, id).catch(ignoreAbsent);
  if (status !== 'expired' || of === undefined) return 'done';
  const payload: WakePayload = { kind: 'workflow_wake', session_id: of.workflowId, node_id: of.nodeId };
  const by = { callerOf: (one: string) => deps.callerOf(tenant, one), io: { signal } };
  const woken = await (await deps.workflows()).wake(tenant, payload, by);
  if (signal.aborted) throw new RuntimeError('CANCELED'); // for the next worker to tell
  return woken === 'unknown_principal' ? woken : 'done';
}

/** Erased in between, there is nothing left that could end. */
function ignoreAbsent(thrown: unknown): undefined {
  if (asRuntimeError(thrown).code !== 'NOT_FOUND') throw thrown;
}

export function createRuns(deps: RunsDeps): Runs {
  return {
    async advance(run, signal) {
      try {
        return await advance(deps, run, signal);
      } catch (thrown) {
        return refused(deps.clock.now(), { thrown, stopped: signal.aborted });
      }
    },
    async stillWaits(run) {
      const caller = deps.callerOf(run.tenant, run.principal);
      // Left to a worker that knows whose it is, as where several serve the workspace, each for its own principals.
      if (caller === undefined)
        return { type: 'parked', why: 'approval', until: deps.clock.now() + LATEST_LOOK_MS };
      const found = await waits(deps, caller, run).catch(ignoreAbsent);
      if (found === undefined) return undefined; // whoever carries it on finds that its records are gone, and ends it
      const { asked, answered, look } = found;
      return answered > 0 || asked === 0 ? undefined : { type: 'parked', why: 'approval', until: look };
    },
    look: (session, signal) => lookAt(deps, session, signal),
    async wake({ tenant, payload }, signal) {
      const callerOf = (principal: string): Caller | undefined => deps.callerOf(tenant, principal);
      const woken = await (await deps.workflows()).wake(tenant, payload, { callerOf, io: { signal } });
      if (woken === 'unknown_principal') return woken;
      // One that lives keeps its timers itself: by now this one may stand for the node's next time.
      return woken === 'over' ? 'done' : 'later';
    },
  };
}
