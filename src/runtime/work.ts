// Owns the work that outlives a request as hosts see it: started, resumed, looked at and canceled by its handle, at once
// or in the background, whether it is a session or a workflow.
import type { Clock, EpochMs } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import { answerPlaces } from '../kernel/approvals/approver.ts';
import type { Caller } from '../kernel/identity.ts';
import type { BackgroundKind } from '../pack/background/entry.ts';
import type { Admission, Admitted, FoundEntry, Queue } from '../pack/background/queue.ts';
import { assertMayCancel, assertMayQueue, assertMayResume } from '../pack/managed/allowed.ts';
import { parseAsked } from '../pack/managed/ask.ts';
import type { LoopError } from '../pack/loop/client-port.ts';
import type { ManagedResult, ManagedStatus, RunManaged } from '../pack/managed/contract.ts';
import type { ManagedPack } from '../pack/managed/managed-sessions.ts';
import type {
  ManagedWork,
  ResumeSessionInput,
  ResumeWorkflowInput,
  StartSessionInput,
  StartWorkflowInput,
  WorkAnswer,
} from '../pack/managed/surface.ts';
import type { WorkflowResult, Workflows } from '../pack/workflows/contract.ts';
import { parseWakeTime } from '../pack/workflows/wake-time.ts';
import type { Store, StoredRow } from '../store/contract.ts';
import type { RuntimeIo } from './contract.ts';
import { openQuestion } from './questions.ts';
import { givenUp, sessionAnswer, underWay, workflowAnswer } from './work-answer.ts';
import type { WorkFacts } from './work-answer.ts';

export interface WorkParts {
  config: RuntimeConfig;
  store: Store;
  clock: Clock;
  queue: Queue;
  managed: ManagedPack;
  /** Loaded at the first use. */
  workflows: () => Promise<Workflows>;
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
}

function notFound(id: string): RuntimeError {
  return new RuntimeError('NOT_FOUND', `Session not found: ${id.slice(0, 80)}`, { kind: 'session' });
}

async function ownRow(parts: WorkParts, caller: Caller, id: string): Promise<StoredRow> {
  const row = await parts.store.row('session', caller.tenant, id);
  if (row?.principal !== caller.principal) throw notFound(id);
  return row;
}

export function kindOfRow(row: StoredRow): BackgroundKind {
  return row.body.kind === 'workflow' ? 'workflow' : 'session';
}

/** Throws NOT_FOUND for work that is foreign, unknown, or of the other kind. */
async function assertKind(parts: WorkParts, caller: Caller, id: string, kind: BackgroundKind): Promise<void> {
  const found = kindOfRow(await ownRow(parts, caller, id));
  if (found === kind) return;
  throw new RuntimeError(
    'NOT_FOUND',
    `${id} is a ${found}, not a ${kind}; resume it by agent:resume-${found}, or by \`agent-runtime ${found}s resume\`.`,
    { kind },
  );
}

function timeOf(value: unknown, fallback: EpochMs): EpochMs {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? fallback : at;
}

async function factsOf(parts: WorkParts, row: StoredRow, approvals: readonly string[]): Promise<WorkFacts> {
  const { body, updatedAt } = row;
  const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
  const places = new Set<string>();
  for (const id of approvals) {
    const approval = await parts.approvalFor(row.tenant, id);
    if (approval?.state === 'pending') for (const place of answerPlaces(approval.subject)) places.add(place);
  }
  return {
    startedAt: timeOf(body.started_at, updatedAt),
    updatedAt,
    ...(typeof body.expires_at === 'string' ? { expiresAt: timeOf(body.expires_at, updatedAt) } : {}),
    runId: typeof body.run_id === 'string' ? body.run_id : row.id,
    turnCount: count(body.turn_count),
    toolCallCount: count(body.tool_call_count),
    answerAt: [...places],
  };
}

function pendingOf(result: { kind: string; pending_request_id?: string } | undefined): string[] {
  return result?.pending_request_id === undefined ? [] : [result.pending_request_id];
}

async function workflowView(parts: WorkParts, caller: Caller, result: WorkflowResult): Promise<WorkAnswer> {
  const row = await ownRow(parts, caller, result.session_id);
  const approvals = result.waiting_nodes.flatMap((one) =>
    one.needs === 'approval' ? [one.pending_request_id] : [],
  );
  const { turn_count: turnCount, tool_call_count: toolCallCount } = result;
  return workflowAnswer(result, { ...(await factsOf(parts, row, approvals)), turnCount, toolCallCount });
}

/** The row of a workflow has no counts: they are those of the sessions of its nodes. */
async function counted(
  parts: WorkParts,
  caller: Caller,
  row: StoredRow,
): Promise<Partial<Pick<WorkFacts, 'turnCount' | 'toolCallCount'>>> {
  if (kindOfRow(row) !== 'workflow') return {};
  const { turn_count, tool_call_count } = await (await parts.workflows()).inspect(caller, row.id);
  return { turnCount: turn_count, toolCallCount: tool_call_count };
}

const OVER: ReadonlySet<ManagedStatus> = new Set(['completed', 'canceled', 'expired']);

/** Why the queue gave it up; undefined where it did not, or something of the work has happened since. */
function whyGivenUp(row: StoredRow, entry: FoundEntry | undefined): LoopError | undefined {
  if (entry?.state.at !== 'ended' || entry.state.givenUp === undefined) return undefined;
  const { givenUp: code, reason: message } = entry.state;
  return row.updatedAt > entry.movedAt ? undefined : { code, message };
}

/** Where work stands, from its records and its place in the queue. */
async function look(parts: WorkParts, caller: Caller, id: string): Promise<WorkAnswer> {
  const row = await ownRow(parts, caller, id);
  const entry = await parts.queue.find(caller.tenant, id);
  const isTaken = entry?.state.at === 'queued' || entry?.state.at === 'running';
  if (isTaken) {
    const queued = await parts.queue.status(caller, id);
    const status = entry.state.at === 'queued' ? 'queued' : 'active';
    return underWay(
      id,
      status,
      { ...(await factsOf(parts, row, [])), ...(await counted(parts, caller, row)) },
      queued,
    );
  }
  const error = whyGivenUp(row, entry);
  if (kindOfRow(row) === 'workflow') {
    const result = await (await parts.workflows()).inspect(caller, id);
    if (error === undefined || result.over) return workflowView(parts, caller, result);
    const { turn_count: turnCount, tool_call_count: toolCallCount } = result;
    const facts = { ...(await factsOf(parts, row, [])), turnCount, toolCallCount };
    return givenUp(id, result.status, facts, error);
  }
  const result = await parts.managed.result(caller, id);
  const facts = await factsOf(parts, row, pendingOf(result));
  const status = result?.status ?? (await parts.managed.status(caller, id));
  if (error !== undefined && !OVER.has(status)) return givenUp(id, status, facts, error);
  return result === undefined ? underWay(id, status, facts) : sessionAnswer(result, facts);
}

/** The answer of a run of ours that has just ended. */
async function ended(parts: WorkParts, caller: Caller, result: ManagedResult): Promise<WorkAnswer> {
  const row = await ownRow(parts, caller, result.session_id);
  return sessionAnswer(result, await factsOf(parts, row, pendingOf(result)));
}

function expiry(text: string | undefined): { expiresAt?: EpochMs } {
  if (text === undefined) return {};
  const read = parseWakeTime(text);
  if (read.ok) return { expiresAt: read.at };
  throw new RuntimeError('INVALID_INPUT', `/expires_at: ${read.why}`, { field: '/expires_at' });
}

function turns(most: number | undefined): { maxTurns?: number } {
  return most === undefined ? {} : { maxTurns: most };
}

function nodeTurns(most: number | undefined): { maxTurnsPerInvocation?: number } {
  return most === undefined ? {} : { maxTurnsPerInvocation: most };
}

type Kept = Pick<StartSessionInput, 'max_turns_per_invocation'>;

/** How a run is given to the queue; every invocation of it has these turns. */
function admitted(id: string, kind: BackgroundKind, { max_turns_per_invocation: most }: Kept): Admitted {
  return { id, kind, ...turns(most) };
}

function refuseGiven(given: Record<string, unknown>): void {
  const field = Object.keys(given).find((name) => given[name] !== undefined);
  if (field === undefined) return;
  throw new RuntimeError(
    'INVALID_INPUT',
    `/${field}: cannot be given to a worker; resume without background`,
    { field: `/${field}` },
  );
}

/** Judged as the worker will find it: what a run would refuse is no work to be queued. */
async function enqueue(parts: WorkParts, caller: Caller, run: Admitted): Promise<WorkAnswer> {
  const { id, kind, maxTurns } = run;
  assertMayQueue(parts.config);
  if (kind === 'session') await parts.managed.assertResumes(caller, id, turns(maxTurns));
  else await (await parts.workflows()).assertResumes(caller, id, nodeTurns(maxTurns));
  await parts.queue.admit(caller, { ...run, asked: true });
  return look(parts, caller, run.id);
}

async function startSession(
  parts: WorkParts,
  caller: Caller,
  input: StartSessionInput,
  io: RuntimeIo,
): Promise<WorkAnswer> {
  const { execute_turn_input: executeTurnInput, background, max_turns_per_invocation: most } = input;
  const { managed, queue } = parts;
  const create = { executeTurnInput, ...expiry(input.expires_at) };
  if (background === true) {
    assertMayQueue(parts.config);
    parseAsked(turns(most));
    const admit = (id: string): Promise<Admission> => queue.admission(caller, admitted(id, 'session', input));
    const queued = await managed.create(caller, { ...create, as: 'queued', admit });
    return look(parts, caller, queued.session_id);
  }
  return ended(parts, caller, await managed.start(caller, create, turns(most), io));
}

/** How it is resumed, and what is done first of all once it may be. */
type Resumed = ResumeSessionInput & Pick<RunManaged, 'first'>;

async function resumeSession(
  parts: WorkParts,
  caller: Caller,
  input: Resumed,
  io: RuntimeIo,
): Promise<WorkAnswer> {
  const { session_id: id, background, max_turns_per_invocation: most } = input;
  const { continuation_messages: messages, accept_unknown: acceptUnknown } = input;
  await assertKind(parts, caller, id, 'session');
  if (background === true) {
    refuseGiven({ continuation_messages: messages, accept_unknown: acceptUnknown });
    return enqueue(parts, caller, admitted(id, 'session', input));
  }
  const how = {
    ...turns(most),
    ...(messages === undefined ? {} : { continuationMessages: messages }),
    ...(acceptUnknown === undefined ? {} : { acceptUnknown }),
    ...(input.first === undefined ? {} : { first: input.first }),
    reason: 'resumed' as const,
  };
  return ended(parts, caller, await parts.managed.run(caller, id, how, io));
}

async function startWorkflow(
  parts: WorkParts,
  caller: Caller,
  input: StartWorkflowInput,
  io: RuntimeIo,
): Promise<WorkAnswer> {
  const { workflow, session_id: sessionId, max_turns_per_invocation: most } = input;
  const workflows = await parts.workflows();
  const start = { workflow, ...(sessionId === undefined ? {} : { sessionId }), ...nodeTurns(most) };
  if (input.background === true) {
    assertMayQueue(parts.config);
    const admit = (id: string): Promise<Admission> =>
      parts.queue.admission(caller, admitted(id, 'workflow', input));
    const queued = await workflows.create(caller, { ...start, admit });
    return look(parts, caller, queued.session_id);
  }
  return workflowView(parts, caller, await workflows.start(caller, start, io));
}

async function resumeWorkflow(
  parts: WorkParts,
  caller: Caller,
  input: ResumeWorkflowInput,
  io: RuntimeIo,
): Promise<WorkAnswer> {
  const { session_id: id, continuation_messages_by_node_id: messages } = input;
  await assertKind(parts, caller, id, 'workflow');
  if (input.background === true) {
    refuseGiven({ continuation_messages_by_node_id: messages });
    return enqueue(parts, caller, admitted(id, 'workflow', input));
  }
  assertMayResume(parts.config);
  const how = {
    ...nodeTurns(input.max_turns_per_invocation),
    ...(messages === undefined ? {} : { continuationMessagesByNodeId: messages }),
  };
  return workflowView(parts, caller, await (await parts.workflows()).resume(caller, id, how, io));
}

/** As hosts have it, and with what the runtime itself has to do within a resume. */
export interface Work extends ManagedWork<Caller, RuntimeIo> {
  resumeSession(caller: Caller, input: Resumed, io: RuntimeIo): Promise<WorkAnswer>;
}

/** Over the pack's sessions and workflows, and the queue. */
export function createWork(parts: WorkParts): Work {
  return {
    startSession: (caller, input, io) => startSession(parts, caller, input, io),
    resumeSession: (caller, input, io) => resumeSession(parts, caller, input, io),
    startWorkflow: (caller, input, io) => startWorkflow(parts, caller, input, io),
    resumeWorkflow: (caller, input, io) => resumeWorkflow(parts, caller, input, io),
    work: (caller, id) => look(parts, caller, id),
    question: (caller, approvalId, how) => openQuestion(parts, caller, approvalId, how),
    async cancel(caller, { session_id: id, reason = 'canceled by its owner' }) {
      const row = await ownRow(parts, caller, id);
      assertMayCancel(parts.config);
      const { status } =
        kindOfRow(row) === 'workflow'
          ? await (await parts.workflows()).cancel(caller, id, reason)
          : await parts.managed.cancel(caller, id, reason);
      const entry = await parts.queue.find(caller.tenant, id);
      if (entry !== undefined) await parts.queue.move(entry, { type: 'ended', how: 'canceled', reason });
      return { session_id: id, status };
    },
  };
}
