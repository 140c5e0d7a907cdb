// Shows how the end of an invocation is told on the wire and as a task, from literals.
import { describe, expect, test } from 'vitest';
import { sessionAnswer, underWay, workflowAnswer } from '../../src/runtime/work-answer.ts';
import type { WorkFacts } from '../../src/runtime/work-answer.ts';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import type { WorkAnswer } from '../../src/pack/managed/surface.ts';
import type { RequestedTool } from '../../src/pack/turn/contract.ts';
import type { WorkflowResult } from '../../src/pack/workflows/contract.ts';
import { createTaskResult, detailedTask } from '../../src/server/tasks/task-view.ts';

const FACTS: WorkFacts = {
  startedAt: 0,
  updatedAt: 1000,
  runId: 'run_row',
  turnCount: 7,
  toolCallCount: 8,
  answerAt: ['here'],
};
const TOOL: RequestedTool = {
  name: 'desk:open',
  input: {},
  tool_call_id: 'c1',
  decision: { decision: 'approval_required' } as unknown as RequestedTool['decision'],
};
const PROGRESS = {
  session_id: 'ses_1',
  run_id: 'run_1',
  messages: [],
  history: [],
  turn_count: 2,
  tool_call_count: 1,
};
const WORKFLOW = {
  session_id: 'ses_w',
  run_id: 'run_w',
  agent_id: 'agent',
  over: false,
  nodes: [],
  completed_node_ids: ['a'],
  turn_count: 5,
  tool_call_count: 4,
};

describe('the answer', () => {
  test('counts come from the result, times from the row, and nothing of the conversation is in it', () => {
    const result: ManagedResult = {
      ...PROGRESS,
      status: 'suspended',
      kind: 'suspended',
      why: 'budget',
      reason: 'budget',
    };
    expect(sessionAnswer(result, FACTS)).toEqual({
      kind: 'suspended',
      session_id: 'ses_1',
      run_id: 'run_1',
      status: 'suspended',
      started_at: '1970-01-01T00:00:00.000Z',
      updated_at: '1970-01-01T00:00:01.000Z',
      turn_count: 2,
      tool_call_count: 1,
      reason: 'budget',
    });
  });

  test('work in the queue has a position, work that a worker has has none', () => {
    expect(underWay('ses_1', 'queued', FACTS, { status: 'queued', position: 0 })).toMatchObject({
      kind: 'queued',
      position: 0,
    });
    expect(underWay('ses_1', 'active', FACTS, { status: 'in_progress' })).not.toHaveProperty('position');
  });

  test('every branch that waits for a person is named, the one the result names first', () => {
    const result: WorkflowResult = {
      ...WORKFLOW,
      status: 'waiting_approval',
      kind: 'approval_required',
      node_id: 'b',
      pending_request_id: 'apr_b',
      requested_tool: TOOL,
      waiting_nodes: [
        { node_id: 'c', needs: 'approval', pending_request_id: 'apr_c' },
        { node_id: 'b', needs: 'approval', pending_request_id: 'apr_b' },
        { node_id: 'd', needs: 'resume', reason: 'budget' },
      ],
    };
    expect(workflowAnswer(result, FACTS)).toMatchObject({
      pending_request_id: 'apr_b',
      answer_at: ['here'],
      waiting: [
        { node_id: 'b', pending_request_id: 'apr_b', requested_tool: TOOL },
        { node_id: 'c', pending_request_id: 'apr_c' },
      ],
    });
  });
});

function answer(over: Partial<WorkAnswer> & Pick<WorkAnswer, 'kind'>): WorkAnswer {
  return { ...underWay('ses_1', 'active', FACTS), ...over };
}

describe('the task', () => {
  test.each([
    [answer({ kind: 'queued', position: 1 }), 'working'],
    [answer({ kind: 'in_progress' }), 'working'],
    [answer({ kind: 'scheduled' }), 'working'],
    [answer({ kind: 'approval_required' }), 'working'],
    [answer({ kind: 'canceled' }), 'cancelled'],
    [answer({ kind: 'suspended' }), 'working'],
    [answer({ kind: 'error', goes_on: true }), 'working'],
    [answer({ kind: 'expired' }), 'completed'],
    [answer({ kind: 'error' }), 'completed'],
    [answer({ kind: 'completed' }), 'completed'],
  ])('$0.kind is $1', (one, status) => {
    expect(detailedTask(one, [])).toMatchObject({ resultType: 'complete', taskId: 'ses_1', status });
  });

  test('an inlined result says that it is complete, and an error of the work is an error of the tool', () => {
    const failed = answer({ kind: 'error', error: { code: 'INTERNAL', message: 'no' } });
    expect(detailedTask(failed, [])).toMatchObject({ result: { resultType: 'complete', isError: true } });
    expect(detailedTask(answer({ kind: 'completed' }), [])).not.toHaveProperty('result.isError');
  });

  test('a question is a form under its own key', () => {
    const view = detailedTask(answer({ kind: 'approval_required' }), [{ key: 'k', text: 'May it?' }]);
    expect(view).toMatchObject({
      status: 'input_required',
      inputRequests: { k: { method: 'elicitation/create', params: { message: 'May it?' } } },
    });
  });

  test('the first answer is a seed: working, without questions or a result', () => {
    const waiting = answer({ kind: 'approval_required', expires_at: '1970-01-01T00:01:00.000Z' });
    const seed = createTaskResult(waiting);
    expect(seed).toMatchObject({ resultType: 'task', status: 'working', ttlMs: 60_000 });
    expect(seed).not.toHaveProperty('inputRequests');
    expect(seed).not.toHaveProperty('result');
  });
});
