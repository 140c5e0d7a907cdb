// Owns the one-method port that the loop runs over. Both MCP client generations meet it by their structure, and an
// in-process runtime by the adapter here; what comes back is read as untrusted either way.
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
});

export interface LoopError {
  code: ErrorCode;
  message: string;
}

export type Answered<T> = { ok: true; value: T } | { ok: false; error: LoopError };

function faultOf(result: LoopToolResult): LoopError {
  const failed = failure.safeParse(result.structuredContent);
  if (failed.success) {
    const { code, message } = failed.data.error;
    return { code: code as ErrorCode, message };
  }
  return { code: 'INVALID_OUTPUT', message: 'The answer has no structured content of the expected shape.' };
}

export async function askTurn(client: LoopClient, input: TurnInput): Promise<Answered<TurnOutput>> {
  try {
    const result = await client.callTool({ name: EXECUTE_TURN, arguments: { ...input } });
    const output = turnOutputSchema.safeParse(result.structuredContent);
    return output.success ? { ok: true, value: output.data } : { ok: false, error: faultOf(result) };
  } catch (thrown) {
    return { ok: false, error: thrownError(thrown) };
  }
}

export async function askCall(
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
function thrownError(thrown: unknown): LoopError {
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
