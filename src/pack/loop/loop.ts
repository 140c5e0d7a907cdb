// Owns the governed loop of a host: turn, the calls it asked for, the next turn, until the model has spoken, a person is
// needed, or a bound is reached. It decides nothing about tools: every call goes through the kernel's door behind the
// port, and the server holds the history, so a next turn sends only the session's handle.
import type { ErrorCode } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import { Series } from '../../base/series.ts';
import { joinReasons } from '../../base/text.ts';
import { createToolResultMessage } from '../host-messages.ts';
import type { RequestedTool, TurnInput, TurnMessage, TurnOutput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';
import { failureThatEnds, stepsOverClient, stepsOverRuntime, thrownError } from './client-port.ts';
import type {
  Answered,
  LoopCallAnswer,
  LoopClient,
  LoopError,
  LoopRuntime,
  LoopSteps,
} from './client-port.ts';

export const DEFAULT_MAX_TURNS = 12;

export interface HistoryEntry {
  turn_index: number;
  turn_output: TurnOutput;
  tool_call_id?: string;
  tool_output?: LoopCallAnswer | { status: 'failed'; error: LoopError };
}

export interface LoopProgress {
  /** What was said, both sides, as the host may show it; the session's own record is what counts. */
  messages: TurnMessage[];
  turn_count: number;
  tool_call_count: number;
  history: HistoryEntry[];
}

/** What a loop came to: an answer, or what it waits for. Counts are those of this invocation. */
export type LoopResult = LoopProgress &
  (
    | { kind: 'completed'; final_turn: TurnOutput }
    | {
        kind: 'approval_required';
        pending_request_id: string;
        requested_tool: RequestedTool;
        last_turn: TurnOutput;
      }
    /** A rule that ends the run denied a call. */
    | { kind: 'denied'; requested_tool: RequestedTool; last_turn: TurnOutput }
    /** A call waits for something that is not an approval: input, or the host's own execution. */
    | {
        kind: 'suspended';
        waiting_for: 'input_required' | 'permitted';
        requested_tool: RequestedTool;
        last_turn: TurnOutput;
      }
    | {
        kind: 'error';
        stage: 'execute_turn' | 'call_tool' | 'loop_limit';
        error: LoopError;
        last_turn?: TurnOutput;
      }
  );

/** A loop over a runtime in this process, or over any connected MCP client; the results are the same. */
export type LoopOptions = {
  executeTurnInput: TurnInput;
  /** Turns of this invocation; the session's own limits hold besides. */
  maxTurns?: number;
} & ({ client: LoopClient } | { runtime: LoopRuntime; caller: Caller; io: TurnIo });

/** What ends the invocation after the calls of one turn; undefined: the model goes on. */
type Stop =
  | { kind: 'approval_required'; pending_request_id: string; requested_tool: RequestedTool }
  | { kind: 'denied'; requested_tool: RequestedTool }
  | { kind: 'suspended'; waiting_for: 'input_required' | 'permitted'; requested_tool: RequestedTool }
  | { kind: 'error'; stage: 'call_tool'; error: LoopError };

/** Without an id there is nothing that anybody could answer. */
function waitingStop(tool: RequestedTool, id: string | undefined): Stop {
  if (id !== undefined) return { kind: 'approval_required', pending_request_id: id, requested_tool: tool };
  const message = 'The call waits for an approval, but its id is missing.';
  return { kind: 'error', stage: 'call_tool', error: { code: 'INVALID_OUTPUT', message } };
}

function endedStop(status: 'unknown' | 'canceled', message = `The call ended ${status}.`): Stop {
  const code = status === 'unknown' ? 'SIDE_EFFECT_UNKNOWN' : 'CANCELED';
  return { kind: 'error', stage: 'call_tool', error: { code, message } };
}

/** What the failure itself is called stands in the history. */
function failedStop({ name, tool_call_id: id }: RequestedTool, error: LoopCallAnswer['error']): Stop {
  const code = (error?.code ?? 'TOOL_EXECUTION_FAILED') as ErrorCode;
  const message = failureThatEnds(id, name);
  return { kind: 'error', stage: 'call_tool', error: { code, message } };
}

function stopOf(tool: RequestedTool, answer: LoopCallAnswer): Stop | undefined {
  switch (answer.status) {
    case 'done':
    case 'expired':
      return undefined;
    case 'tool_error':
      return answer.on_failure === 'end_run' ? failedStop(tool, answer.error) : undefined;
    case 'denied':
      return answer.decision.on_deny === 'end_run' ? { kind: 'denied', requested_tool: tool } : undefined;
    case 'approval_required':
      return waitingStop(tool, answer.approval?.approval_id);
    case 'input_required':
    case 'permitted':
      return { kind: 'suspended', waiting_for: answer.status, requested_tool: tool };
    case 'unknown':
    case 'canceled':
      return endedStop(answer.status, answer.error?.message);
  }
}

/** A call that the turn itself had refused is answered by an error; the session tells the model so. */
function isToldToModel(error: LoopError): boolean {
  return ['TOOL_NOT_FOUND', 'POLICY_DENIED', 'SCOPE_DENIED', 'LIMIT_EXCEEDED', 'INVALID_INPUT'].includes(
    error.code,
  );
}

function toolMessage(tool: RequestedTool, answer: Answered<LoopCallAnswer>): TurnMessage {
  const named = { toolCallId: tool.tool_call_id, toolName: tool.name };
  if (!answer.ok) return createToolResultMessage({ ...named, success: false, error: answer.error });
  const { status, result, error, decision } = answer.value;
  if (status === 'done') {
    return createToolResultMessage({
      ...named,
      success: true,
      data: result?.structured ?? result?.content ?? null,
    });
  }
  const failed = error ?? { code: status.toUpperCase(), message: joinReasons(decision.reasons) };
  const { code, message } = failed;
  return createToolResultMessage({ ...named, success: false, error: { code, message } });
}

// A wait for a person outranks a suspension; what cannot go on outranks both.
const WEIGHT: Record<Stop['kind'], number> = { suspended: 0, approval_required: 1, denied: 2, error: 3 };

/** Runs every call of one turn, in order; one that waits holds up none of the others. */
async function runCalls(steps: LoopSteps, turn: TurnOutput, so: LoopProgress): Promise<Stop | undefined> {
  let stop: Stop | undefined;
  for (const tool of turn.requested_tools ?? []) {
    const answer = await steps.call({ session_id: turn.session_id, tool_call_id: tool.tool_call_id });
    so.tool_call_count += 1;
    so.messages.push(toolMessage(tool, answer));
    so.history.push({
      turn_index: turn.turn_index,
      turn_output: turn,
      tool_call_id: tool.tool_call_id,
      tool_output: answer.ok ? answer.value : { status: 'failed', error: answer.error },
    });
    const next = answer.ok
      ? stopOf(tool, answer.value)
      : isToldToModel(answer.error)
        ? undefined
        : ({ kind: 'error', stage: 'call_tool', error: answer.error } as const);
    if (next !== undefined && (stop === undefined || WEIGHT[next.kind] > WEIGHT[stop.kind])) stop = next;
  }
  return stop;
}

/** The next turn of the same session: its handle, and what shaped the first turn; nothing new to say. */
export function nextInput(first: TurnInput, sessionId: string): TurnInput {
  const { messages: _messages, authorization: _authorization, intent, ...kept } = first;
  // A new session is pinned to its intent; in one that was there the intent narrows this run only, to its last turn.
  const narrowed = first.session_id === undefined || intent === undefined ? {} : { intent };
  return { ...kept, ...narrowed, session_id: sessionId, messages: [] };
}

/** Runs the loop. Never rejects. In this process its steps are a series: nobody hears of any before all are on disk. */
export async function runGovernedAgentLoop(options: LoopOptions): Promise<LoopResult> {
  if ('client' in options) return runSteps(stepsOverClient(options.client), options);
  const series = new Series();
  const { runtime, caller, io } = options;
  const result = await runSteps(stepsOverRuntime(runtime, caller, { ...io, series }), options);
  try {
    await series.settled();
    return result;
  } catch (thrown) {
    return undone(options, result, thrownError(thrown));
  }
}

/** What a step answered is not recorded after all, so nothing of it is told but that the run has failed. */
function undone(
  { executeTurnInput: { messages } }: LoopOptions,
  { turn_count, tool_call_count }: LoopResult,
  error: LoopError,
): LoopResult {
  return { kind: 'error', stage: 'execute_turn', error, messages, turn_count, tool_call_count, history: [] };
}

async function runSteps(steps: LoopSteps, options: LoopOptions): Promise<LoopResult> {
  const { executeTurnInput: first, maxTurns = DEFAULT_MAX_TURNS } = options;
  const so: LoopProgress = { messages: [...first.messages], turn_count: 0, tool_call_count: 0, history: [] };
  let input = first;
  let last: TurnOutput | undefined;
  while (so.turn_count < maxTurns) {
    const asked = await steps.turn(input);
    so.turn_count += 1;
    if (!asked.ok) {
      const stage = { kind: 'error', stage: 'execute_turn', error: asked.error } as const;
      return { ...so, ...stage, ...(last === undefined ? {} : { last_turn: last }) };
    }
    const turn = asked.value;
    last = turn;
    so.messages.push({ role: 'assistant', content: turn.assistant_message });
    if (turn.status !== 'tool_request') {
      so.history.push({ turn_index: turn.turn_index, turn_output: turn });
      return { ...so, kind: 'completed', final_turn: turn };
    }
    const stop = await runCalls(steps, turn, so);
    if (stop !== undefined) return { ...so, ...stop, last_turn: turn };
    input = nextInput(first, turn.session_id);
  }
  const message = `The loop used up its ${maxTurns} turns; the session goes on with its handle.`;
  const error = { code: 'AGENT_RUNTIME_LOOP_LIMIT_EXCEEDED', message } as const;
  const end = { ...so, kind: 'error', stage: 'loop_limit', error } as const;
  return last === undefined ? end : { ...end, last_turn: last };
}
