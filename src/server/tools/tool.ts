// Owns what a tool of this server is to the rest of it: one entry that can be listed and run.
import type { CallToolResult, InputRequiredResult, Tool } from '@modelcontextprotocol/server';
import type { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import type { Runtime, RuntimeIo } from '../../runtime/contract.ts';
import type { ToolSet } from '../connection.ts';
import type { GateOutcome, GovernedCall } from '../gate.ts';
import { inputSchemaOf } from './schemas.ts';

export type ToolResult = CallToolResult | InputRequiredResult;

/** What comes with one call of one tool. */
export interface ToolCall {
  runtime: Runtime;
  caller: Caller;
  io: RuntimeIo;
  /** Runs a call that may need a person's approval. */
  governed: (call: GovernedCall) => Promise<GateOutcome>;
  /** The canonical id of any spelling; undefined for a name that no tool of this connection has. */
  canonicalId: (name: string) => string | undefined;
  /** Present when this client takes tasks: answers with the handle of work that goes on in the background. */
  task?: (answer: WorkAnswer) => ToolResult;
  /** From `_meta`. */
  idempotencyKey?: string;
}

/** A tool as this connection offers it. `definition` lacks the name, which depends on the client. */
export interface ToolEntry {
  id: string;
  definition: Omit<Tool, 'name'>;
  run(args: unknown, call: ToolCall): Promise<ToolResult>;
}

export interface AgentTool {
  id: string;
  sets: readonly Exclude<ToolSet, 'all'>[];
  audience: 'everybody' | 'operators';
  /** Built at the first use: most processes never list every set. */
  entry(): ToolEntry;
}

interface AgentToolParts<I> extends Omit<AgentTool, 'entry'> {
  title: string;
  description: string;
  annotations: { readOnlyHint: boolean; destructiveHint?: boolean; openWorldHint: boolean };
  /** Closed at every level. */
  input: z.ZodType<I>;
  output: JsonObject;
  run(input: I, call: ToolCall): Promise<ToolResult>;
}

export function agentTool<I>(parts: AgentToolParts<I>): AgentTool {
  const { id, sets, audience, title, description } = parts;
  let entry: ToolEntry | undefined;
  return {
    id,
    sets,
    audience,
    entry: () =>
      (entry ??= {
        id,
        definition: {
          title,
          description,
          inputSchema: inputSchemaOf(parts.input) as Tool['inputSchema'],
          outputSchema: parts.output,
          annotations: { title, ...parts.annotations },
        },
        // INVALID_INPUT with the field, as a tool result: the model that made the mistake can correct it.
        run: async (args, call) => parts.run(parseWith(parts.input, args ?? {}), call),
      }),
  };
}

export const LOOKS_ONLY: { readOnlyHint: true; openWorldHint: false } = {
  readOnlyHint: true,
  openWorldHint: false,
};
