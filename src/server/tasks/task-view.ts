// Owns how work that goes on in the background looks as an MCP task (extension io.modelcontextprotocol/tasks of the
// revision 2026-07-28). Pure. The task's id is the session's handle: unguessable, and checked against its owner.
import { inputRequired } from '@modelcontextprotocol/server';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import { APPROVAL_FORM } from '../delivery.ts';
import type { ToolResult } from '../tools/tool.ts';
import { workAnswerResult, workSentence } from '../tools/work.ts';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

const POLL_MS = 1000;

/** A question of a task. */
export interface TaskQuestion {
  key: string;
  text: string;
}

function base(answer: WorkAnswer): Record<string, unknown> {
  const { session_id, started_at, updated_at, expires_at } = answer;
  const ttlMs =
    expires_at === undefined ? null : Math.max(0, Date.parse(expires_at) - Date.parse(started_at));
  return {
    taskId: session_id,
    statusMessage: workSentence(answer),
    createdAt: started_at,
    lastUpdatedAt: updated_at,
    ttlMs,
    pollIntervalMs: POLL_MS,
  };
}

/** What a call answers that became a task. The SDK's types leave tasks out, the wire does not. */
export function createTaskResult(answer: WorkAnswer): ToolResult {
  return { resultType: 'task', ...base(answer), status: 'working' } as unknown as ToolResult;
}

function asked(questions: readonly TaskQuestion[]): Record<string, unknown> {
  const requests = questions.map(({ key, text }): [string, unknown] => [
    key,
    inputRequired.elicit({ message: text, requestedSchema: APPROVAL_FORM }),
  ]);
  return Object.fromEntries(requests);
}

/** The state of a task as `tasks/get` answers it. */
export function detailedTask(
  answer: WorkAnswer,
  questions: readonly TaskQuestion[],
): Record<string, unknown> {
  const view = { resultType: 'complete', ...base(answer) };
  switch (answer.kind) {
    case 'queued':
    case 'in_progress':
    case 'scheduled':
    case 'suspended': // a task that has ended stays ended, and this goes on when it is resumed
      return { ...view, status: 'working' };
    case 'approval_required':
      return questions.length === 0
        ? { ...view, status: 'working' }
        : { ...view, status: 'input_required', inputRequests: asked(questions) };
    case 'canceled':
      return { ...view, status: 'cancelled' };
    case 'completed':
    case 'expired':
    case 'error':
      if (answer.goes_on === true) return { ...view, status: 'working' };
      return {
        ...view,
        status: 'completed',
        result: { ...workAnswerResult(answer), resultType: 'complete' },
      };
  }
}
