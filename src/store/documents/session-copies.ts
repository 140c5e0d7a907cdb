// Owns the files `.agent-runtime/workflow/<session>.json`: readable copies of sessions, one closed and versioned schema,
// written whole and atomically. They are for people; no program reads one back.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { safeFileName } from '../file-name.ts';
import { openDocument } from './document.ts';

const json: z.ZodType<JsonValue> = z.json();
const object: z.ZodType<JsonObject> = z.record(z.string(), json);
const time = z.iso.datetime();
const count = z.int().nonnegative();

const schema = z.strictObject({
  schema_version: z.literal(1),
  note: z.string(),
  session_id: z.string().min(1),
  task_id: z.exactOptional(z.string()),
  run_id: z.string(),
  status: z.enum([
    'queued',
    'active',
    'suspended',
    'waiting_approval',
    'scheduled',
    'completed',
    'error',
    'canceled',
    'expired',
  ]),
  created_at: time,
  updated_at: time,
  execute_turn_input: object,
  messages: z.array(object),
  history: z.array(object),
  turn_count: count,
  tool_call_count: count,
  continuations: z.array(object),
  /** How many older entries of each list the copy leaves out. */
  left_out: z.strictObject({ messages: count, history: count, continuations: count }),
  pending_request_id: z.exactOptional(z.string()),
  requested_tool: z.exactOptional(object),
  last_turn: z.exactOptional(object),
  workflow: z.exactOptional(object),
  next_wake_at: z.exactOptional(time),
});

export interface SessionCopyFiles {
  pathOf(sessionId: string): string;
  /** Replaces the copy as a whole; what somebody wrote into it is not looked at. */
  write(sessionId: string, document: JsonObject): Promise<void>;
  /** Nothing happens where there is none. */
  remove(sessionId: string): Promise<void>;
}

/** The copies of a workspace, in `directory`. An id reaches a path only encoded. */
export function sessionCopyFiles(directory: string): SessionCopyFiles {
  const pathOf = (sessionId: string): string => join(directory, `${safeFileName(sessionId)}.json`);
  return {
    pathOf,
    async write(sessionId, document) {
      const checked = parseWith(schema, document, 'INVALID_OUTPUT');
      await openDocument({ path: pathOf(sessionId), schema, empty: checked }).replace(checked);
    },
    remove: (sessionId) => rm(pathOf(sessionId), { force: true }),
  };
}
