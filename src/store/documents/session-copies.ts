// Owns the files `.agent-runtime/workflow/<session>.json`: readable copies of sessions, one closed and versioned schema,
// written whole and atomically. They are for people, and for programs that want to look; the runtime reads none back. Whoever
// reads one gets all of it in its own types, or is told what does not fit.
//
// A copy appears whole, and that is all that is promised of it: it can be made anew from the journal, so it is neither locked
// nor flushed. After a loss of power the newest ones may be missing or empty.
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { safeFileName } from '../file-name.ts';
import { makePrivateDir } from '../private-dir.ts';
import { inStoreWords, readDocument } from './document.ts';
import { isRunning } from './file-lock.ts';

const STATUSES = [
  'queued',
  'active',
  'suspended',
  'waiting_approval',
  'scheduled',
  'completed',
  'error',
  'canceled',
  'expired',
] as const;
const CONTINUATIONS = [
  'created',
  'resumed',
  'suspended',
  'approval_required',
  'scheduled',
  'wakeup',
  'branch_completed',
  'join_ready',
  'completed',
  'error',
  'canceled',
  'expired',
] as const;
const ROLES = ['system', 'user', 'assistant', 'tool'] as const;
const TURN_STATUSES = ['reply', 'tool_request', 'complete', 'escalate'] as const;

/** What a copy holds; texts are redacted like evidence. */
export interface SessionCopy {
  schema_version: 1;
  note: string;
  session_id: string;
  task_id?: string;
  run_id: string;
  status: (typeof STATUSES)[number];
  created_at: string;
  updated_at: string;
  execute_turn_input: JsonObject;
  messages: {
    role: (typeof ROLES)[number];
    content: string;
    tool_name?: string;
    tool_call_id?: string;
  }[];
  history: {
    turn_index: number;
    turn_output: JsonObject & { status: (typeof TURN_STATUSES)[number] };
    tool_call_id?: string;
    tool_output?: JsonObject;
  }[];
  turn_count: number;
  tool_call_count: number;
  continuations: {
    sequence: number;
    kind: (typeof CONTINUATIONS)[number];
    timestamp: string;
    reason?: string;
    request_id?: string;
    node_id?: string;
  }[];
  left_out: { messages: number; history: number; continuations: number };
  pending_request_id?: string;
  requested_tool?: JsonObject;
  last_turn?: JsonObject;
  workflow?: JsonObject;
  next_wake_at?: string;
}

const json: z.ZodType<JsonValue> = z.json();
const object: z.ZodType<JsonObject> = z.record(z.string(), json);
const time = z.iso.datetime();
const count = z.int().nonnegative();

const message = z.strictObject({
  role: z.enum(ROLES),
  content: z.string(),
  tool_name: z.exactOptional(z.string()),
  tool_call_id: z.exactOptional(z.string()),
});

const step = z.strictObject({
  turn_index: count,
  turn_output: z.object({ status: z.enum(TURN_STATUSES) }).catchall(json),
  tool_call_id: z.exactOptional(z.string()),
  tool_output: z.exactOptional(object),
});

const continuation = z.strictObject({
  sequence: z.int().positive(),
  kind: z.enum(CONTINUATIONS),
  timestamp: time,
  reason: z.exactOptional(z.string()),
  request_id: z.exactOptional(z.string()),
  node_id: z.exactOptional(z.string()),
});

const schema: z.ZodType<SessionCopy> = z.strictObject({
  schema_version: z.literal(1),
  note: z.string(),
  session_id: z.string().min(1),
  task_id: z.exactOptional(z.string()),
  run_id: z.string(),
  status: z.enum(STATUSES),
  created_at: time,
  updated_at: time,
  execute_turn_input: object,
  messages: z.array(message),
  history: z.array(step),
  turn_count: count,
  tool_call_count: count,
  continuations: z.array(continuation),
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
  /** Undefined where there is none. Throws STORE_CORRUPT or STORE_FUTURE_VERSION, and leaves the file as it is. */
  read(sessionId: string): Promise<SessionCopy | undefined>;
  /** Replaces the copy as a whole; what somebody wrote into it is not looked at. */
  write(sessionId: string, document: JsonObject): Promise<void>;
  /** Nothing happens where there is none. */
  remove(sessionId: string): Promise<void>;
}

// One a process, which writes one copy at a time. No copy is called so: its name does not begin with a dot.
const DRAFT = /^\.draft-(\d+)$/;

/** At once: it goes no further than the system's memory, and takes this process less time than to hand it over and back. */
function replaceFile(directory: string, path: string, text: string): void {
  const draft = join(directory, `.draft-${process.pid}`);
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, path);
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw thrown;
  }
}

/** What a process left behind that ended in the middle of a copy: it holds what the session said. */
function removeLeftDrafts(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return; // there is none yet
  }
  for (const name of names) {
    const pid = Number(DRAFT.exec(name)?.[1] ?? Number.NaN);
    if (pid > 0 && (pid === process.pid || !isRunning(pid))) rmSync(join(directory, name), { force: true });
  }
}

async function readCopy(path: string, sessionId: string): Promise<SessionCopy | undefined> {
  const copy = await readDocument(path, schema);
  if (copy === undefined || copy.session_id === sessionId) return copy;
  const sentence = `The document ${path} is the copy of another session. It was kept as it is.`;
  throw new RuntimeError('STORE_CORRUPT', sentence, { file: path });
}

/** The copies of a workspace, in `directory`. An id reaches a path only encoded. */
export function sessionCopyFiles(directory: string): SessionCopyFiles {
  const pathOf = (sessionId: string): string => join(directory, `${safeFileName(sessionId)}.json`);
  let isSwept = false;
  const sweep = (): void => {
    if (!isSwept) removeLeftDrafts(directory);
    isSwept = true;
  };
  return {
    pathOf,
    read: (sessionId) => readCopy(pathOf(sessionId), sessionId),
    async write(sessionId, document) {
      const checked = parseWith(schema, document, 'INVALID_OUTPUT');
      const path = pathOf(sessionId);
      const text = `${JSON.stringify(checked, null, 2)}\n`;
      await inStoreWords(path, () => {
        makePrivateDir(directory);
        sweep();
        replaceFile(directory, path, text);
      });
    },
    async remove(sessionId) {
      sweep();
      await rm(pathOf(sessionId), { force: true });
    },
  };
}
