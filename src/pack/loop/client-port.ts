// Owns the port that the loop runs over, and both of its sides: an MCP client, which either generation is by its structure and
// whose answers are read as untrusted, and a runtime in this process, whose answers are checked where they are made.
import { z } from 'zod';
import { asRuntimeError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import { turnOutputSchema } from '../turn/output.ts';
import type { DecisionView, TurnFailure, TurnInput, TurnOutput } from '../turn/contract.ts';
import type { TurnIo } from '../turn/run-turn.ts';

export interface LoopToolResult {
  structuredContent?: unknown;
  content?: unknown;
  isError?: unknown;
  /** The form of servers of before 2024-11-05, which the first client generation still types; never read. */
  toolResult?: unknown;
}

export interface LoopClient {
  callTool(params: { name: string; arguments?: Record<string, unknown> }): Promise<LoopToolResult>;
}

export const EXECUTE_TURN = 'agent:execute-turn';
export const CALL_TOOL = 'agent:call-tool';

/** The part of a call's answer that the loop reads. */
export interface LoopCallAnswer {
  status:
    | 'done'
    | 'tool_error'
    | 'denied'
    | 'approval_required'
    | 'input_required'
    | 'permitted'
    | 'unknown'
    | 'expired'
    | 'canceled';
  decision: DecisionView;
  approval?: { approval_id: string };
  result?: { content: JsonObject[]; structured?: JsonObject };
  error?: { code: string; message: string };
  on_failure?: 'end_run';
}

/** The face of a runtime that the adapter needs. */
export interface LoopRuntime {
  executeTurn(caller: Caller, input: TurnInput, io: TurnIo): Promise<TurnOutput | TurnFailure>;
  callTool(
    caller: Caller,
    input: { session_id: string; tool_call_id: string },
    io: TurnIo,
  ): Promise<LoopCallAnswer>;
}

const json: z.ZodType<JsonObject> = z.record(z.string(), z.json());

const failure = z.looseObject({
  error: z.looseObject({ code: z.string(), message: z.string() }),
});

const decision: z.ZodType<DecisionView> = z.object({
  decision: z.enum(['allow', 'deny', 'approval_required']),
  rule_id: z.string(),
  layer: z.string(),
  reasons: z.array(z.string()),
  policy_digest: z.string(),
  on_deny: z.exactOptional(z.literal('end_run')),
});

const callAnswer: z.ZodType<LoopCallAnswer> = z.object({
  status: z.enum([
    'done',
    'tool_error',
    'denied',
    'approval_required',
    'input_required',
    'permitted',
    'unknown',
    'expired',
    'canceled',
  ]),
  decision,
  approval: z.exactOptional(z.object({ approval_id: z.string().min(1) })),
  result: z.exactOptional(z.object({ content: z.array(json), structured: z.exactOptional(json) })),
  error: z.exactOptional(z.looseObject({ code: z.string(), message: z.string() })),
  on_failure: z.exactOptional(z.literal('end_run')),
});

export interface LoopError {
  code: ErrorCode;
  message: string;
}

/** Why a run ends with a call that failed. */
export function failureThatEnds(callId: string, tool: string): string {
  return `The call ${callId} of ${tool} failed for good, and policy.on_failure ends the run with it.`;
}

export type Answered<T> = { ok: true; value: T } | { ok: false; error: LoopError };

/** The two steps of a loop. They never reject. */
export interface LoopSteps {
  turn(input: TurnInput): Promise<Answered<TurnOutput>>;
  call(handle: { session_id: string; tool_call_id: string }): Promise<Answered<LoopCallAnswer>>;
}

function faultOf(result: LoopToolResult): LoopError {
  const failed = failure.safeParse(result.structuredContent);
  if (failed.success) {
    const { code, message } = failed.data.error;
    return { code: code as ErrorCode, message };
  }
  return { code: 'INVALID_OUTPUT', message: 'The answer has no structured content of the expected shape.' };
}

async function askTurn(client: LoopClient, input: TurnInput): Promise<Answered<TurnOutput>> {
  try {
    const result = await client.callTool({ name: EXECUTE_TURN, arguments: { ...input } });
    const output = turnOutputSchema.safeParse(result.structuredContent);
    return output.success ? { ok: true, value: output.data } : { ok: false, error: faultOf(result) };
  } catch (thrown) {
    return { ok: false, error: thrownError(thrown) };
  }
}

async function askCall(
  client: LoopClient,
  handle: { session_id: string; tool_call_id: string },
): Promise<Answered<LoopCallAnswer>> {
  try {
    const result = await client.callTool({ name: CALL_TOOL, arguments: { ...handle } });
    const answer = callAnswer.safeParse(result.structuredContent);
    return answer.success ? { ok: true, value: answer.data } : { ok: false, error: faultOf(result) };
  } catch (thrown) {
    return { ok: false, error: thrownError(thrown) };
  }
}

/** A client throws its own errors: protocol, transport, time-out. Their text is all there is to say. */
export function thrownError(thrown: unknown): LoopError {
  const { code, message } = asRuntimeError(thrown);
  return code === 'INTERNAL' && thrown instanceof Error
    ? { code, message: thrown.message }
    : { code, message };
}

function structured(value: object): LoopToolResult {
  const isError = 'error' in value && !('status' in value);
  return { structuredContent: JSON.parse(JSON.stringify(value)) as JsonObject, isError };
}

/** A runtime in this process behind the same port: same questions, same answers. */
export function inProcessClient(runtime: LoopRuntime, caller: Caller, io: TurnIo): LoopClient {
  return {
    async callTool({ name, arguments: args = {} }) {
      try {
        return structured(
          name === EXECUTE_TURN
            ? await runtime.executeTurn(caller, args as unknown as TurnInput, io)
            : await runtime.callTool(caller, args as { session_id: string; tool_call_id: string }, io),
        );
      } catch (thrown) {
        return structured({ error: asRuntimeError(thrown).view() });
      }
    },
  };
}

export function stepsOverClient(client: LoopClient): LoopSteps {
  return { turn: (input) => askTurn(client, input), call: (handle) => askCall(client, handle) };
}

/** What the loop reads of an answer: the same, whichever way it came. */
function readOf(answer: LoopCallAnswer): LoopCallAnswer {
  const { status, decision: decided, approval, result, error, on_failure } = answer;
  const { decision, rule_id, layer, reasons, policy_digest, on_deny } = decided;
  const read: LoopCallAnswer = {
    status,
    decision: {
      decision,
      rule_id,
      layer,
      reasons,
      policy_digest,
      ...(on_deny === undefined ? {} : { on_deny }),
    },
  };
  if (approval !== undefined) read.approval = { approval_id: approval.approval_id };
  if (result !== undefined) {
    const { content, structured: value } = result;
    read.result = value === undefined ? { content } : { content, structured: value };
  }
  if (error !== undefined) read.error = error;
  if (on_failure !== undefined) read.on_failure = on_failure;
  return read;
}

export function stepsOverRuntime(runtime: LoopRuntime, caller: Caller, io: TurnIo): LoopSteps {
  return {
    async turn(input) {
      try {
        const answer = await runtime.executeTurn(caller, input, io);
        if (!('error' in answer)) return { ok: true, value: answer };
        const { code, message } = answer.error;
        return { ok: false, error: { code, message } };
      } catch (thrown) {
        return { ok: false, error: thrownError(thrown) };
      }
    },
    async call(handle) {
      try {
        return { ok: true, value: readOf(await runtime.callTool(caller, handle, io)) };
      } catch (thrown) {
        return { ok: false, error: thrownError(thrown) };
      }
    },
  };
}
