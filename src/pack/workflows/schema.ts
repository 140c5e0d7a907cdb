// Owns the closed shape of a workflow definition; what only the whole graph shows is checked beside it.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { turnInputSchema } from '../turn/input.ts';
import type { WorkflowDefinition } from './definition.ts';

/** What a graph may weigh; a state and a row hold something of every node. */
export const MAX_NODES = 200;
export const MAX_CONCURRENCY = 32;
const MAX_ITERATIONS = 100;
const MAX_ATTEMPTS = 20;
const LONGEST_DELAY_MS = 30 * 24 * 60 * 60_000;

const NODE_ID = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** The handle that a workflow is started under, wherever it is named. */
export const workflowSessionId: z.ZodType<string> = z.string().regex(SESSION_ID, 'is not a session id');
const nodeId = z
  .string()
  .regex(NODE_ID, 'must be a letter, then letters, digits, _ or -, at most 64 characters');
const anyObject: z.ZodType<JsonObject> = z.record(z.string(), z.json());
const expression = z.string().min(1).max(4000);

const mapping = z.strictObject({
  from: nodeId,
  path: z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON pointer, e.g. /structured/total'),
  type: z.exactOptional(z.enum(['string', 'number', 'boolean', 'object', 'array'])),
});

const node = z.strictObject({
  id: nodeId,
  execute_turn_input: turnInputSchema,
  depends_on: z.exactOptional(z.array(nodeId).max(MAX_NODES)),
  wake_at: z.exactOptional(z.string()),
  when: z.exactOptional(expression),
  inputs: z.exactOptional(z.record(z.string().regex(NODE_ID, 'must be a name like a node id'), mapping)),
  output_schema: z.exactOptional(anyObject),
  retry: z.exactOptional(
    z.strictObject({
      max_attempts: z.int().min(1).max(MAX_ATTEMPTS),
      delay_ms: z.exactOptional(z.int().min(0).max(LONGEST_DELAY_MS)),
    }),
  ),
  loop: z.exactOptional(
    z.strictObject({ until: expression, max_iterations: z.int().min(1).max(MAX_ITERATIONS) }),
  ),
  compensate: z.exactOptional(z.strictObject({ execute_turn_input: turnInputSchema })),
  max_turns: z.exactOptional(z.int().min(1).max(1000)),
});

export const workflowSchema: z.ZodType<WorkflowDefinition> = z.strictObject({
  session_id: z.exactOptional(workflowSessionId),
  id: z.exactOptional(z.string().min(1).max(128)),
  nodes: z.array(node).min(1, 'has no node; a workflow has at least one').max(MAX_NODES),
  concurrency: z.exactOptional(z.int().min(1).max(MAX_CONCURRENCY)),
  failure_policy: z.exactOptional(z.enum(['fail_fast', 'continue', 'compensate'])),
});
