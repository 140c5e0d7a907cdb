// Owns the way of an admitted call to a downstream MCP server, and the honest report of how far it came.
//
// X1: `not_executed` is said only where the request was certainly not written to the child. Everything later that is no
//     result is `side_effect_unknown`, a server's own error reply included: it does not say what it had done before.
// X2: a call goes out only to the very definition it was decided on.
// X3: the deadline is absolute: neither the start of the server nor progress moves it.
// X4: a result that is not what its tool promised is a failure, and its effect may have happened all the same.
// X5: a read goes out only if what it reads is what was decided on.
import { startDeadline } from '../base/abort.ts';
import type { Deadline, Until } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/digest.ts';
import { asRuntimeError, ERRORS, RuntimeError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { showCut } from '../base/text.ts';
import { isReadMethod, readParams } from '../kernel/catalog/reads.ts';
import type { CallIo, Execution, ExecutionResult, Executor, Progress } from '../kernel/execution/executor.ts';
import { SchemaCache } from '../kernel/policy/arg-schema.ts';
import type { Ids } from '../base/ids.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import { afterLoss, isSessionGone, lostSession, mustAsk } from './after-loss.ts';
import type { Connection } from './connection.ts';
import type { Downstreams, Lease } from './downstreams.ts';
import { outputCheck } from './output-check.ts';
import { pinDigest } from './pin-file.ts';
import type { LiveTool } from './definitions.ts';
import { CallRelay } from './relay/call-relay.ts';
import type { RelayParts } from './relay/call-relay.ts';
import { parseReadAnswer, parseToolAnswer } from './result.ts';
import type { ToolAnswer } from './result.ts';
import type { CallOptions, CallRequest, Session } from './session.ts';
import type { SessionKey } from './sessions/ledger.ts';
import { servedRun } from './sessions/live.ts';
import type { LiveSessions, Use } from './sessions/live.ts';
import type { Refused } from './sessions/refusals.ts';
import { NOT_SENT } from './transport.ts';
import { untilAborted } from './until-aborted.ts';

export interface DownstreamExecutorOptions {
  downstreams: Downstreams;
  sessions: LiveSessions;
  clock: Clock;
  ids: Ids;
  redactor: Redactor;
  /** How long anything may wait for a person. */
  maxWaitMs: number;
  /** Told when a live definition is not the one decided on; for the quarantine, which is not the caller's to wait for. */
  onDrift?: (server: string) => void;
  /** Why nothing may go out to this server now, whatever was decided before; looked at after its list. */
  held?: (server: string) => string | undefined;
}

type ExecutorParts = DownstreamExecutorOptions & {
  schemas: SchemaCache;
  relay: RelayParts;
  /** Sessions that a call has gone through. */
  called: WeakSet<Session>;
};
type Failure = Extract<ExecutionResult, { kind: 'failed' }>;

const IDEMPOTENCY_META = 'agent-runtime/idempotency-key';
// More than any person follows; what is beyond is counted in the notes.
const MAX_PROGRESS = 1000;
const MESSAGE_CHARS = 500;

function failed(
  code: ErrorCode,
  message: string,
  sideEffect: Failure['sideEffect'],
  notes: string[] = [],
): Failure {
  return { kind: 'failed', code, message: showCut(message, MESSAGE_CHARS), sideEffect, notes };
}

/** W3C trace context of this call: its run's trace, and a span id that the call id determines. */
function traceparent({ context, callId }: Execution): string | undefined {
  if (!/^[0-9a-f]{32}$/.test(context.traceId)) return undefined;
  return `00-${context.traceId}-${sha256(callId).slice(0, 16)}-01`;
}

function callMeta(execution: Execution): JsonObject {
  const { capability, idempotencyKey } = execution;
  const trace = traceparent(execution);
  const hasOwnArgument = capability.idempotency.argument !== undefined;
  const meta: JsonObject = {};
  if (trace !== undefined) meta['traceparent'] = trace;
  if (idempotencyKey !== undefined && !hasOwnArgument) meta[IDEMPOTENCY_META] = idempotencyKey;
  return meta;
}

/** Undefined for the arguments of a read that are not what they say (X5). */
function callRequest(execution: Execution): CallRequest | undefined {
  const { capability, args } = execution;
  const { tool } = capability;
  const _meta = callMeta(execution);
  if (!isReadMethod(tool)) return { method: 'tools/call', params: { name: tool, arguments: args, _meta } };
  const params = readParams(tool, args);
  return params === undefined ? undefined : { method: tool, params: { _meta, ...params } };
}

interface ProgressGate {
  take: (progress: Progress) => void;
  left: () => number;
}

/** Passes on what grows and is finite, up to a number; a listener that throws does not reach the connection. */
function progressGate(pass: (progress: Progress) => void): ProgressGate {
  let last = Number.NEGATIVE_INFINITY;
  let passed = 0;
  let left = 0;
  return {
    take(progress) {
      if (!Number.isFinite(progress.progress) || progress.progress <= last || passed >= MAX_PROGRESS) {
        left++;
        return;
      }
      last = progress.progress;
      passed++;
      try {
        pass(
          progress.message === undefined
            ? progress
            : { ...progress, message: showCut(progress.message, MESSAGE_CHARS) },
        );
      } catch {
        left++;
      }
    },
    left: () => left,
  };
}

/** The end that came from our side, if one did. */
function ownEnd(deadline: Deadline): ErrorCode | undefined {
  if (deadline.timedOut()) return 'TOOL_TIMEOUT';
  return deadline.aborted ? 'CANCELED' : undefined;
}

/** X2; undefined when the live definition is the one decided on. */
function pinProblem(
  execution: Execution,
  connection: Connection,
  live: string | undefined,
): string | undefined {
  const { capability, pinDigest: decided } = execution;
  const { name } = connection.server;
  if (decided === undefined)
    return `${capability.id} is called without a pin; nobody has looked at its definition`;
  if (live === undefined) return `${name} no longer offers the pinned tool ${capability.tool}`;
  return live === decided
    ? undefined
    : `the definition of ${capability.id} is not the pinned one (${live}, pinned is ${decided})`;
}

// A listed tool belongs to one connection and never changes; a new list has new objects.
const digests = new WeakMap<LiveTool, string>();

function liveDigest(connection: Connection, tool: LiveTool): string {
  let digest = digests.get(tool);
  if (digest === undefined) {
    digest = pinDigest(connection.identity, tool);
    digests.set(tool, digest);
  }
  return digest;
}

const UNASKED = 'The server had not been asked yet.';
const UNCONFINABLE = 'SUBPROCESS_SANDBOX_UNAVAILABLE';

function isUnconfinable(thrown: unknown): boolean {
  return thrown instanceof RuntimeError && thrown.details['cause'] === UNCONFINABLE;
}

interface Opened {
  session: Session;
  key: SessionKey;
  fault: (answer: ToolAnswer) => string | undefined;
}

function useOf(execution: Execution, { connection, who, poolKey }: Lease): Use {
  const run = servedRun(execution.context);
  return { server: connection.server, who, poolKey, run, approved: execution.approved };
}

/** What keeps a session from being recorded is no fault of its server's, and says what it is. */
async function recorded(open: () => Promise<SessionKey>): Promise<SessionKey | Failure> {
  try {
    return await open();
  } catch (thrown) {
    if (lostSession(thrown) !== undefined) throw thrown;
    const { code, message } = asRuntimeError(thrown);
    return failed(code, message, 'not_executed');
  }
}

async function openSession(
  execution: Execution,
  lease: Lease,
  until: Until,
  { held, schemas, sessions }: ExecutorParts,
): Promise<Opened | Failure> {
  const { connection } = lease;
  const session = await connection.session(until);
  const list = await session.tools(until);
  const tool = list.tools.find(({ name }) => name === execution.capability.tool);
  const live = tool === undefined ? undefined : liveDigest(connection, tool);
  // Another tool of this server may have changed in the very list that this call made it give.
  const problem = pinProblem(execution, connection, live) ?? held?.(connection.server.name);
  if (problem !== undefined) return failed('SPEC_TAMPERED', problem, 'not_executed', ['pin']);
  const check = await outputCheck(schemas, tool?.outputSchema);
  if (check.usable) {
    const key = await recorded(() => sessions.of(session, useOf(execution, lease)));
    return 'kind' in key ? key : { session, key, fault: (answer) => check.fault(answer) };
  }
  const text = `the outputSchema of ${execution.capability.id} cannot be checked: ${check.why}`;
  return failed('SUBPROCESS_PROTOCOL_ERROR', text, 'not_executed');
}

// What servers say of a resource that there is not: the older protocol's own code, and the newer's.
const NO_SUCH_RESOURCE: ReadonlySet<unknown> = new Set([-32002, -32602]);

/** What a server's own error to a read means: that there is no such thing, or that it cannot be asked for so. */
function readErrorCode({ method }: CallRequest, thrown: unknown): ErrorCode {
  const code: unknown = isObject(thrown) ? thrown['code'] : undefined;
  if (method === 'resources/read' && NO_SUCH_RESOURCE.has(code)) return 'NOT_FOUND';
  return method !== 'tools/call' && code === -32602 ? 'INVALID_INPUT' : 'TOOL_EXECUTION_FAILED';
}

function callFailure(
  thrown: unknown,
  { session, request }: { session: Session; request: CallRequest },
  ended: ErrorCode | undefined,
): Failure {
  const isUnsent = thrown instanceof RuntimeError && thrown.details[NOT_SENT] === true;
  if (ended !== undefined) {
    return isUnsent
      ? failed(ended, `${ERRORS[ended].sentence} ${UNASKED}`, 'not_executed')
      : failed(ended, `${ERRORS[ended].sentence} The server was told to stop.`, 'side_effect_unknown');
  }
  if (thrown instanceof RuntimeError) {
    if (isSessionGone(thrown)) return failed(thrown.code, thrown.message, 'not_executed');
    return failed(
      isUnsent ? 'DOWNSTREAM_UNAVAILABLE' : thrown.code,
      thrown.message,
      isUnsent ? 'not_executed' : 'side_effect_unknown',
    );
  }
  const fault = session.fault();
  if (fault !== undefined) return failed(fault.code, fault.message, 'side_effect_unknown');
  const text = thrown instanceof Error ? thrown.message : 'no reason given';
  const code = readErrorCode(request, thrown);
  return failed(code, `the server answered with an error: ${text}`, 'side_effect_unknown');
}

const NOT_WHAT_IT_SAYS = 'The arguments do not name what is to be read, or name beside it another place.';

async function send(session: Session, request: CallRequest, options: CallOptions): Promise<unknown> {
  const { uri } = request.params;
  if (request.method !== 'resources/subscribe' || typeof uri !== 'string')
    return session.call(request, options);
  const { until } = options;
  await session.reads.subscribeAhead(uri, 'onEnd' in until ? until.signal : until);
  return {};
}

function parseAnswer(raw: unknown, { capability, outputBytes }: Execution, messageBytes: number): ToolAnswer {
  const method = capability.tool;
  return isReadMethod(method)
    ? parseReadAnswer(raw, { method, outputBytes, messageBytes })
    : parseToolAnswer(raw, outputBytes, messageBytes);
}

interface Around {
  io: CallIo;
  deadline: Deadline;
  parts: ExecutorParts;
}

async function callTool(
  execution: Execution,
  lease: Lease,
  { session, key, fault }: Opened,
  { io, deadline, parts }: Around,
): Promise<ExecutionResult> {
  const { server } = lease.connection;
  const request = callRequest(execution);
  if (request === undefined) return failed('INVALID_INPUT', NOT_WHAT_IT_SAYS, 'not_executed');
  const refused = (one: Refused): Promise<void> => parts.sessions.refused(session, one);
  const relay = new CallRelay(parts.relay, { key, execution, io, deadline, server: server.name, refused });
  const progress = progressGate((one) => relay.progress(one));
  const through = { capabilitySessionId: key.id };
  let raw: unknown;
  try {
    raw = await send(session, request, {
      until: deadline,
      onProgress: progress.take,
      ask: (params) => relay.ask(params),
      log: (params) => relay.log(params),
    });
  } catch (thrown) {
    const failure = { ...callFailure(thrown, { session, request }, ownEnd(deadline)), ...through };
    return isSessionGone(thrown)
      ? await afterLoss(
          failure,
          { session, key, use: useOf(execution, lease) },
          { execution, lease, until: deadline, parts },
        )
      : failure;
  } finally {
    await relay.end();
    if (relay.waitedOut()) lease.retire('max_wait');
  }
  try {
    const answer = parseAnswer(raw, execution, server.maxMessageBytes);
    const broken = fault(answer);
    if (broken !== undefined) {
      const text = `${execution.capability.id} answered, but ${broken}. What it did is done: look before repeating it.`;
      return { ...failed('INVALID_OUTPUT', text, 'side_effect_unknown'), ...through };
    }
    const left = progress.left();
    const notes = [
      ...(left === 0 ? [] : [`${left} progress messages left out`]),
      ...(relay.waitedOut() ? [`capability session ${key.id} ends: max_wait`] : []),
    ];
    return { kind: 'result', ...answer, ...through, notes };
  } catch (thrown) {
    const { code, message } = asRuntimeError(thrown);
    const ours = code === 'INVALID_INPUT' ? 'SUBPROCESS_PROTOCOL_ERROR' : code;
    return { ...failed(ours, message, 'side_effect_unknown'), ...through };
  }
}

/** By `resume_policy`; the others that use the connection keep it. */
async function reinitialize(lease: Lease, until: Until, { sessions }: ExecutorParts): Promise<void> {
  const { resumePolicy } = sessions.parts.controls;
  if (resumePolicy === 'always_reinitialize' && lease.isOnly()) {
    await untilAborted(lease.connection.release('replaced'), until);
  }
}

async function throughLease(execution: Execution, lease: Lease, around: Around): Promise<ExecutionResult> {
  const { deadline, parts } = around;
  let opened: Opened | Failure;
  try {
    if (execution.resumes === true) await reinitialize(lease, deadline, parts);
    opened = await openSession(execution, lease, deadline, parts);
  } catch (thrown) {
    const ended = ownEnd(deadline);
    if (ended !== undefined) {
      return failed(ended, `${ERRORS[ended].sentence} ${UNASKED}`, 'not_executed');
    }
    const lost = lostSession(thrown);
    if (lost !== undefined) return mustAsk(lost, { execution, lease, parts });
    const reason = thrown instanceof Error ? thrown.message : 'no reason given';
    return failed(isUnconfinable(thrown) ? UNCONFINABLE : 'DOWNSTREAM_UNAVAILABLE', reason, 'not_executed');
  }
  if ('kind' in opened) {
    if (opened.code === 'SPEC_TAMPERED') parts.onDrift?.(lease.connection.server.name);
    return opened;
  }
  // The last moment at which an end costs nothing.
  const ended = ownEnd(deadline);
  if (ended !== undefined) return failed(ended, ERRORS[ended].sentence, 'not_executed');
  const confinement = accountOf(opened.session, parts.called);
  const result = await callTool(execution, lease, opened, around);
  return confinement === undefined ? result : { confinement, ...result };
}

/** What the process says it is held to; to every call after its first one it is a live one. */
function accountOf(
  session: Opened['session'],
  called: ExecutorParts['called'],
): Opened['session']['confinement'] {
  const { confinement } = session;
  const isLive = called.has(session);
  called.add(session);
  return isLive && confinement?.['start'] !== undefined ? { ...confinement, start: 'live' } : confinement;
}

async function run(execution: Execution, around: Around): Promise<ExecutionResult> {
  const { downstreams, sessions } = around.parts;
  const name = execution.capability.server ?? '';
  const { tenant, principal } = execution.context.caller;
  let lease: Lease | undefined;
  try {
    lease = downstreams.lease(name, { tenant, principal });
  } catch (thrown) {
    const { code, message } = asRuntimeError(thrown);
    return failed(code, message, 'not_executed');
  }
  if (lease === undefined) {
    return failed('DOWNSTREAM_UNAVAILABLE', `no server ${name} is configured`, 'not_executed');
  }
  try {
    return await throughLease(execution, lease, around);
  } finally {
    lease.end();
    // What a call has subscribed to outlives it: whoever follows it ends the connection, or its idle time does.
    const isOver = execution.capability.tool !== 'resources/subscribe';
    if (sessions.parts.controls.mode === 'per_call' && isOver && lease.isLast())
      void lease.connection.release('closed');
  }
}

/** Runs admitted `mcp_stdio` and `mcp_http` calls. Never throws. */
export function createDownstreamExecutor(options: DownstreamExecutorOptions): Executor {
  const schemas = new SchemaCache({ clock: options.clock });
  const { sessions, clock, ids, redactor, maxWaitMs } = options;
  const { ledger, controls } = sessions.parts;
  const parts: ExecutorParts = {
    ...options,
    schemas,
    called: new WeakSet(),
    relay: { ledger, controls, schemas, clock, ids, redactor, maxWaitMs },
  };
  return {
    transports: ['mcp_stdio', 'mcp_http'],
    async execute(execution, io) {
      let own: Deadline | undefined;
      try {
        const ms = execution.capability.timeoutSeconds * 1000;
        const deadline = io.deadline ?? (own = startDeadline(clock, ms, io.ending ?? io.signal));
        return await run(execution, { io, deadline, parts });
      } catch (thrown) {
        return failed('INTERNAL', ERRORS.INTERNAL.sentence, 'side_effect_unknown', [
          thrown instanceof Error ? thrown.name : typeof thrown,
        ]);
      } finally {
        own?.done();
      }
    },
  };
}
