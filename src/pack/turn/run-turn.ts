// Owns one governed turn, the file to read first:
// prepare → admit and record (one commit) → generate → normalize → record (one commit) → return.
//
// T1  Nothing is sent to a provider that is not recorded first; one turn makes at most one provider call. A scripted model,
//     which is part of this process, is asked once the record is written, and may answer before it is committed.
// T2  An admitted turn is exactly two commits, a refused one is one.
// T3  A turn always answers: every failure is recorded and returned; it is never thrown.
// T4  Only what the kernel recorded is told as a tool's result; what the model asks for is decided before it is shown.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Progress } from '../../kernel/execution/executor.ts';
import { toldTo } from '../../store/contract.ts';
import type { CommitResult } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import { decisionView } from '../records.ts';
import type { Entry } from '../sessions/conversation.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import { assertPrecheck } from './authorize.ts';
import type { RequestedTool, TurnFailure, TurnInput, TurnOutput, TurnSnapshot } from './contract.ts';
import { parseTurnInput } from './input.ts';
import { withShownLabels } from './labels.ts';
import { toModelTools } from './messages.ts';
import { normalize } from './normalize.ts';
import type { NormalTurn } from './normalize.ts';
import { callFacts, completedCommit, failedCommit, runStatusOf } from './outcome-commit.ts';
import type { Admitted, Failed, Generated, OutcomeCommit } from './outcome-commit.ts';
import { checkOutput } from './output.ts';
import { prepareTurn, sessionFor, turnUnderWay } from './prepare.ts';
import type { PreparedTurn, TurnRoom } from './prepare.ts';
import { refuseTurn } from './refusal.ts';
import { decideRequested } from './requested.ts';
import type { DecidedTool } from './requested.ts';
import { startCommit } from './start-commit.ts';
import { createTurnStream } from './stream.ts';
import type { TurnStream } from './stream.ts';

export interface TurnIo {
  progress?(progress: Progress): void;
  snapshot?(snapshot: TurnSnapshot): void;
  signal: AbortSignal;
  /** The answer may be given before it is on disk: whoever asks settles the series before anybody else hears of it. */
  series?: Series;
}

// Each round a call of this session was recorded between reading and committing; more than a few means a flood.
const MAX_ROUNDS = 8;

type Admission = { kind: 'admitted'; admitted: Admitted; held: HeldSession | undefined } | { kind: 'again' };

/** One governed model turn for a proven caller. Never rejects. */
export async function executeTurn(
  room: TurnRoom,
  caller: Caller,
  rawInput: unknown,
  io: TurnIo,
): Promise<TurnOutput | TurnFailure> {
  const seen: Seen = { held: undefined, claim: undefined };
  try {
    return await claimedTurn(room, caller, rawInput, { io, seen });
  } catch (thrown) {
    const { series } = io;
    return await refused(room, caller, seen.held, { error: asRuntimeError(thrown), series });
  } finally {
    if (seen.claim !== undefined) room.running.delete(seen.claim);
  }
}

interface Seen {
  held: HeldSession | undefined;
  claim: string | undefined;
}

/** Rejects only before the turn is admitted, so with nothing sent and nothing recorded. */
async function claimedTurn(
  room: TurnRoom,
  caller: Caller,
  rawInput: unknown,
  { io, seen }: { io: TurnIo; seen: Seen },
): Promise<TurnOutput | TurnFailure> {
  assertPrecheck(room.deps.config, caller);
  const input = withShownLabels(room.deps.kernel, parseTurnInput(rawInput));
  if (io.signal.aborted) throw new RuntimeError('CANCELED');
  if (input.session_id !== undefined) claim(room, caller, input.session_id, seen);
  const { admitted, held } = await enter(room, caller, input, { seen, series: io.series });
  const stream =
    input.stream === true && io.snapshot !== undefined
      ? createTurnStream(room.deps.clock, (snapshot) => io.snapshot?.(snapshot))
      : undefined;
  const answer = await carryOut(room, admitted, held, { signal: io.signal, stream, series: io.series });
  stream?.finish(answer);
  return answer;
}

/** One turn of a session at a time. The key names the owner too, so that a stranger learns nothing from it. */
function claim(room: TurnRoom, caller: Caller, sessionId: string, seen: Seen): void {
  const key = JSON.stringify([caller.tenant, caller.principal, sessionId]);
  if (room.running.has(key)) throw turnUnderWay(sessionId);
  if (seen.claim !== undefined) room.running.delete(seen.claim);
  room.running.add(key);
  seen.claim = key;
}

/** Prepares and admits, anew whenever the session moved in between. */
async function enter(
  room: TurnRoom,
  caller: Caller,
  input: TurnInput,
  { seen, series }: { seen: Seen; series: Series | undefined },
): Promise<Extract<Admission, { kind: 'admitted' }>> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    seen.held = undefined;
    const session = await sessionFor(room, caller, input, series);
    seen.held = session.held;
    // Lists show a new session as soon as it is admitted, so its first turn holds it too.
    if (session.held === undefined) claim(room, caller, session.facts.id, seen);
    const admission = await admit(room, await prepareTurn(room, caller, input, session), series);
    if (admission.kind === 'admitted') return admission;
  }
  throw new RuntimeError('CONFLICT', 'The session keeps changing.', { session_id: input.session_id });
}

async function admit(room: TurnRoom, turn: PreparedTurn, series: Series | undefined): Promise<Admission> {
  const { kernel, clock } = room.deps;
  const { context, binding: session, profile } = turn;
  const inputBytes = turn.inputBytes + toModelTools(turn.tools).bytes;
  const commit = startCommit(room.deps, turn);
  const admission = await kernel.admitModel({ context, session, profile, inputBytes, series }, commit);
  if (!admission.ok) {
    if (admission.refused === 'conflict') return { kind: 'again' };
    throw deniedError(admission.decision);
  }
  const held = await room.sessions.advance({
    chain: turn.chain,
    held: turn.held,
    appends: commit.appends,
    heads: admission.heads,
    said: turn.news.entries,
    shown: { runId: context.runId, runStatus: 'in_progress' },
  });
  const admitted = { turn, reserved: admission.reserved, startedAt: clock.monotonic() };
  return { kind: 'admitted', admitted, held };
}

function deniedError(decision: Parameters<typeof decisionView>[0]): RuntimeError {
  const codes: Record<string, 'LIMIT_EXCEEDED' | 'SCOPE_DENIED'> = {
    loop_budget: 'LIMIT_EXCEEDED',
    scope_boundary: 'SCOPE_DENIED',
  };
  const code = codes[decision.ruleId] ?? 'POLICY_DENIED';
  const details = { decision: decisionView(decision), ...decision.attributes };
  return new RuntimeError(code, decision.reasons[0], details);
}

interface TurnWire {
  signal: AbortSignal;
  stream: TurnStream | undefined;
  series: Series | undefined;
}

async function carryOut(
  room: TurnRoom,
  admitted: Admitted,
  held: HeldSession | undefined,
  wire: TurnWire,
): Promise<TurnOutput | TurnFailure> {
  let generated: Generated | undefined;
  const { series, stream } = wire;
  try {
    if (stream !== undefined) await series?.settled(); // what it shows leaves this process
    generated = await generate(admitted, wire);
    const normal = meaning(admitted.turn, generated);
    const tools = await decideRequested(room.deps, admitted.turn, normal);
    const output = checkOutput(outputOf(admitted.turn, normal, tools, generated));
    const { facts } = generated;
    const ended = completedCommit(room.deps, admitted, { output, tools, facts, streamed: stream?.close() });
    const commit = stream === undefined ? toldTo(series, ended) : ended; // what it shows leaves this process
    const shown = { runId: admitted.turn.context.runId, runStatus: runStatusOf(output) };
    await record(room, admitted.turn, held, { commit, said: [saidByModel(output, tools)], shown });
    return output;
  } catch (thrown) {
    const error = asRuntimeError(thrown);
    return failed(room, admitted, held, { error, generated, streamed: stream?.close() });
  }
}

/** T1: the one call. */
function generate({ turn }: Admitted, { signal, stream }: TurnWire): Promise<Generated> {
  const { messages, intent, turnIndex } = turn;
  const tools = [...toModelTools(turn.tools).list];
  return turn.provider.generate(
    { messages, tools, intents: [...intent.offered], turnIndex },
    { signal, ...(stream === undefined ? {} : { onText: (delta: string) => stream.onText(delta) }) },
  );
}

function meaning(turn: PreparedTurn, { output }: Generated): NormalTurn {
  const { label, offered } = turn.intent;
  const normal = normalize(output, { intent: label, offered: offered.map((one) => one.id) });
  if (normal.ok) return normal.turn;
  const { reason, field, finishReason } = normal;
  throw new RuntimeError('PROVIDER_MALFORMED_RESPONSE', undefined, {
    reason,
    finish_reason: finishReason,
    ...(field === undefined ? {} : { field }),
  });
}

function outputOf(
  turn: PreparedTurn,
  normal: NormalTurn,
  tools: readonly DecidedTool[],
  { output }: Generated,
): TurnOutput {
  const [first] = tools;
  const said = { status: normal.status, intent: normal.intent, assistant_message: normal.message };
  const about = {
    provider: { kind: turn.provider.kind, model: turn.provider.model },
    ...(output.usage === undefined ? {} : { usage: output.usage }),
    finish_reason: normal.finishReason,
    session_id: turn.facts.id,
    run_id: turn.context.runId,
    trace_id: turn.context.traceId,
    turn_index: turn.turnIndex,
  };
  if (first === undefined) return Object.assign(said, about);
  const { tool_call_id, decision } = first;
  const requested_tool = { name: first.name, input: first.input };
  const requested_tools = tools.map(toRequested);
  return Object.assign(said, { requested_tool, requested_tools, tool_call_id, decision }, about);
}

function toRequested({ name, input, tool_call_id, decision }: DecidedTool): RequestedTool {
  return { name, input, tool_call_id, decision };
}

function saidByModel(output: TurnOutput, tools: readonly DecidedTool[]): Entry {
  const calls = tools.map(({ tool_call_id: id, name, input }) => ({ id, name, input }));
  return { from: 'model', content: output.assistant_message, calls };
}

function refusedText(done: Exclude<CommitResult, { ok: true }>): RuntimeError {
  return new RuntimeError(
    'CONFLICT',
    'The session went on without this turn, or has ended; it is no part of it.',
    {
      refused: done.refused,
    },
  );
}

async function record(
  room: TurnRoom,
  turn: PreparedTurn,
  held: HeldSession | undefined,
  outcome: { commit: OutcomeCommit; said: Entry[]; shown: HeldSession['shown'] },
): Promise<void> {
  const done = await room.deps.store.commit(outcome.commit);
  if (!done.ok) throw refusedText(done);
  if (held === undefined) return;
  const { appends } = outcome.commit;
  await room.sessions.advance({
    chain: turn.chain,
    held,
    appends,
    heads: done.heads,
    said: outcome.said,
    shown: outcome.shown,
  });
}

/** T3: a turn that was admitted and gave no output. */
async function failed(
  room: TurnRoom,
  admitted: Admitted,
  held: HeldSession | undefined,
  { error, generated, streamed }: Failed,
): Promise<TurnFailure> {
  const { turn } = admitted;
  const details = {
    provider_call_count: Number(error.details['attempts'] ?? 0) > 0 ? 1 : 0,
    provider_kind: turn.provider.kind,
    ...(streamed === undefined ? {} : { stream_snapshot_count: streamed.count }),
    ...(generated === undefined ? {} : callFacts(generated.facts)),
    ...error.details,
  };
  const full = new RuntimeError(error.code, error.message, details);
  const where = { session_id: turn.facts.id, run_id: turn.context.runId, trace_id: turn.context.traceId };
  try {
    await record(room, turn, held, {
      commit: failedCommit(room.deps, admitted, { error: full, generated, streamed }),
      said: [],
      shown: undefined,
    });
  } catch (thrown) {
    const storeError = asRuntimeError(thrown);
    if (storeError.code === 'STORE_UNAVAILABLE') return { error: storeError.view(), ...where };
  }
  return { error: full.view(), ...where };
}

async function refused(
  room: TurnRoom,
  caller: Caller,
  held: HeldSession | undefined,
  refusal: { error: RuntimeError; series: Series | undefined },
): Promise<TurnFailure> {
  try {
    return await refuseTurn(room, caller, held, refusal);
  } catch (thrown) {
    // Without a record there is no other answer to give than that there is no record.
    return { error: asRuntimeError(thrown).view() };
  }
}
