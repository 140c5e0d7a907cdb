// Owns the files `.agent-runtime/workflow/<session>.json`: readable copies of sessions, one closed and versioned schema,
// written whole and atomically. They are for people; no program reads one back.
//
// A copy appears whole, and that is all that is promised of it: it can be made anew from the journal, so it is neither locked
// nor flushed. After a loss of power the newest ones may be missing or empty.
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { safeFileName } from '../file-name.ts';
import { makePrivateDir } from '../private-dir.ts';
import { inStoreWords } from './document.ts';
import { isRunning } from './file-lock.ts';

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
