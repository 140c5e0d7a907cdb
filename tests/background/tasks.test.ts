// Shows MCP tasks over the built server: what their questions take as an answer, whose they are, and their end.
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { answerAtTerminal, effects, eventually, reconfigured, saying, serve, servedPlace } from './served.ts';
import type { Served, Task } from './served.ts';

const READING_MS = 1100;
const APPROVE = { action: 'accept', content: { decision: 'approve' } };
const REJECT = { action: 'accept', content: { decision: 'reject' } };

type Doc = Record<string, unknown>;

async function started(client: Served, tool: string, args: Doc): Promise<string> {
  const { resultType, taskId } = await client.raw(tool, args);
  expect(resultType).toBe('task');
  return String(taskId);
}

function keyOf(task: Task): string {
  return Object.keys(task.inputRequests ?? {})[0] ?? '';
}

function workflow(nodes: Doc[]): Doc {
  return { workflow: { nodes } };
}

function node(id: string, content: string, more: Doc = {}): Doc {
  return { id, ...saying(content), ...more };
}

describe('a question', () => {
  test('that is answered faster than it can be read is not answered; the terminal still can', async () => {
    const at = await servedPlace();
    const client = await serve(at, 'tasks');
    const taskId = await started(client, 'agent:start-session', saying('count a.'));
    const asked = await client.until(taskId, 'input_required');
    await client.update(taskId, { [keyOf(asked)]: APPROVE });
    const left = await client.task(taskId);
    expect(left.status).toBe('working');
    expect(left.statusMessage).toContain('approvals resolve');
    expect(left).not.toHaveProperty('inputRequests');
    // The same answer again, late enough by now, is nobody's: its question has been answered.
    await pause(READING_MS);
    await client.update(taskId, { [keyOf(asked)]: APPROVE });
    expect((await client.task(taskId)).status).toBe('working');
    expect(await effects(at, 'a')).toEqual([]);

    const [id = ''] = /apr_[0-9a-z]+/.exec(left.statusMessage) ?? [];
    await answerAtTerminal(at, id, 'approve');
    await client.until(taskId, 'completed');
    expect(await effects(at, 'a')).toHaveLength(1);
  });

  test('that was never put, or is declined, moves nothing; a rejection counts and is told to the model', async () => {
    const at = await servedPlace();
    const client = await serve(at, 'tasks');
    const taskId = await started(client, 'agent:start-session', saying('count a.'));
    const listed = await eventually('an approval is open', async () => {
      const { items } = (await client.call('agent:list-approvals')) as { items: Doc[] };
      return items[0];
    });
    await client.update(taskId, { [`${String(listed.approval_id)}.0`]: APPROVE });
    const asked = await client.until(taskId, 'input_required');
    await client.update(taskId, { [keyOf(asked)]: { action: 'decline' } });
    expect((await client.task(taskId)).status).toBe('working');

    const other = await serve(at, 'tasks');
    const again = await other.until(taskId, 'input_required');
    expect(keyOf(again)).not.toBe(keyOf(asked));
    await other.update(taskId, { [keyOf(again)]: REJECT });
    await other.until(taskId, 'completed');
    expect(await effects(at, 'a')).toEqual([]);
  });
});

test('a foreign task is answered like an absent one, by every method', async () => {
  const at = await servedPlace();
  const owner = await serve(at, 'tasks');
  const taskId = await started(owner, 'agent:start-session', saying('count a.'));
  const asked = await owner.until(taskId, 'input_required');
  const foreign = await serve(
    await reconfigured(at, 'foreign', { principal: 'mallory', roles: [] }),
    'tasks',
  );
  const absent = 'ses_00000000000000000000000000';
  const said = async (ask: (id: string) => Promise<unknown>, id: string): Promise<string> => {
    const answer = await ask(id).catch((thrown: unknown) => {
      const { code, message } = thrown as { code: unknown; message: string };
      return { code, message };
    });
    return JSON.stringify(answer).replaceAll(id, 'ID');
  };
  const methods: ((id: string) => Promise<unknown>)[] = [
    (id) => foreign.task(id),
    (id) => foreign.update(id, { [keyOf(asked)]: APPROVE }),
    (id) => foreign.cancelTask(id),
    (id) => foreign.call('agent:cancel', { session_id: id }),
    (id) => foreign.call('agent:resume-session', { session_id: id, background: true }),
    (id) => foreign.read(`agent://sessions/${id}`),
  ];
  for (const method of methods) {
    const answer = await said(method, absent);
    expect(answer).toMatch(/Unknown task|not found|NOT_FOUND/i);
    expect(await said(method, taskId)).toEqual(answer);
  }
  await pause(READING_MS);
  expect((await owner.task(taskId)).status).toBe('input_required');
  expect(await effects(at, 'a')).toEqual([]);
});

verifies(
  ['QB-05'],
  'a run is canceled in every state that is not an end, and stays as it ended',
  async () => {
    const at = await servedPlace({ background: { max_running: 1 } });
    const client = await serve(at, 'tasks');
    const running = await started(client, 'agent:start-session', saying('be slow.'));
    await eventually('the slow call has begun', async () => (await effects(at, 'slow')).length > 0);
    const queued = await started(client, 'agent:start-session', saying('count a.'));
    expect((await client.task(queued)).statusMessage).toContain('queued; 0 before it');
    await client.cancelTask(queued);
    expect((await client.task(queued)).status).toBe('cancelled');
    await client.cancelTask(running);
    expect((await client.task(running)).status).toBe('cancelled');
    // The one place is free again, so what was running has left it.
    const waiting = await started(client, 'agent:start-session', saying('count b.'));
    const asked = await client.until(waiting, 'input_required');
    await client.cancelTask(waiting);
    await client.update(waiting, { [keyOf(asked)]: APPROVE });
    expect((await client.task(waiting)).status).toBe('cancelled');

    const wake = new Date(Date.now() + 3_600_000).toISOString();
    const scheduled = await started(
      client,
      'agent:start-workflow',
      workflow([node('later', 'count c.', { wake_at: wake })]),
    );
    await eventually('it is scheduled', async () => {
      const { statusMessage } = await client.task(scheduled);
      return statusMessage.includes(wake);
    });
    await client.cancelTask(scheduled);
    expect((await client.task(scheduled)).status).toBe('cancelled');

    const completed = await started(client, 'agent:start-session', saying('finish.'));
    const done = await client.until(completed, 'completed');
    await client.cancelTask(completed);
    expect(await client.task(completed)).toEqual(done);
    for (const name of ['a', 'b', 'c']) expect(await effects(at, name)).toEqual([]);
  },
);

verifies(['QB-02'], 'a full queue refuses with code and bound, and leaves nothing recorded', async () => {
  const at = await servedPlace({ background: { max_running: 1, max_queued: 2 } });
  const client = await serve(at, 'v2');
  const background = { background: true };
  await client.call('agent:start-session', { ...saying('be slow.'), ...background });
  await eventually('the slow call has begun', async () => (await effects(at, 'slow')).length > 0);
  const places = [];
  for (const name of ['a', 'b']) {
    places.push(await client.call('agent:start-session', { ...saying(`count ${name}.`), ...background }));
  }
  expect(places).toMatchObject([
    { kind: 'queued', position: 0 },
    { kind: 'queued', position: 1 },
  ]);
  const before = await client.call('agent:list-sessions');
  const refused = await client.call('agent:start-session', { ...saying('count c.'), ...background });
  const one = workflow([node('one', 'count c.')]);
  const refusedToo = await client.call('agent:start-workflow', { ...one, ...background });
  const error = { code: 'TOO_BUSY', retryable: true, details: { reason: 'queue_full', queued: 2, most: 2 } };
  expect([refused, refusedToo]).toMatchObject([{ error }, { error }]);
  expect(await client.call('agent:list-sessions')).toEqual(before);
});

test('what stands in the way of a task is told with its code and its remedy, and a session that its host runs is no task', async () => {
  const at = await servedPlace({ background: { allow_cancel: false } });
  const client = await serve(at, 'tasks');
  const taskId = await started(client, 'agent:start-session', saying('count a.'));
  await client.until(taskId, 'input_required');
  await expect(client.cancelTask(taskId)).rejects.toMatchObject({
    data: {
      error: {
        ...{ code: 'POLICY_DENIED', remedy: expect.any(String) as string, retryable: false },
        details: { field: 'runtime.background.allow_cancel' },
      },
    },
  });
  const turn = await client.call('agent:execute-turn', saying('count b.'));
  const hosted = String(turn.session_id);
  for (const ask of [client.task(hosted), client.update(hosted, {}), client.cancelTask(hosted)]) {
    await expect(ask).rejects.toMatchObject({
      code: -32_602,
      message: expect.stringContaining('Unknown task') as string,
    });
  }
});
