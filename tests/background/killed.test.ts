// Shows that background work goes on through an approval when its server is killed in between, for a client that takes
// tasks and for plain ones.
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { answerAtTerminal, effects, eventually, saying, serve, servedPlace } from './served.ts';
import type { Served } from './served.ts';

// An approval by a client that comes sooner counts as a program's.
const READING_MS = 1100;

verifies(
  { partial: ['QB-01', 'QB-08'] },
  'a client that takes tasks ends its run through an approval although its server is killed twice',
  async () => {
    const at = await servedPlace();
    const first = await serve(at, 'tasks');
    const created = await first.raw('agent:start-session', saying('count a.'));
    expect(created).toMatchObject({ resultType: 'task', status: 'working' });
    const taskId = String(created.taskId);
    const asked = await first.until(taskId, 'input_required');
    await first.kill();

    const second = await serve(at, 'tasks');
    const again = await second.until(taskId, 'input_required');
    // The question is the same one: an answer that the person was giving meanwhile is not lost.
    expect(Object.keys(again.inputRequests ?? {})).toEqual(Object.keys(asked.inputRequests ?? {}));
    expect(await effects(at, 'a')).toEqual([]);
    await pause(READING_MS);
    const [key = ''] = Object.keys(asked.inputRequests ?? {});
    await second.update(taskId, { [key]: { action: 'accept', content: { decision: 'approve' } } });
    await second.kill();

    const third = await serve(at, 'tasks');
    const done = await third.until(taskId, 'completed');
    expect(done.result).toMatchObject({
      structuredContent: { kind: 'completed', session_id: taskId, status: 'completed' },
    });
    expect(await effects(at, 'a')).toHaveLength(1);
  },
  120_000,
);

type Doc = Record<string, unknown>;

async function work(client: Served, id: string): Promise<Doc> {
  const { state } = (await client.read(`agent://sessions/${id}`)) as { state: { work: Doc } };
  return state.work;
}

function reached(client: Served, id: string, kind: string): Promise<Doc> {
  return eventually(`${id} is ${kind}`, async () => {
    const now = await work(client, id);
    return now.kind === kind ? now : undefined;
  });
}

describe.each(['v2', 'v1'] as const)('a plain client (%s)', (kind) => {
  verifies(
    ['QB-09'],
    'ends the same run through an approval although its server is killed twice, and fetches the result',
    async () => {
      const at = await servedPlace();
      const first = await serve(at, kind);
      const queued = await first.call('agent:start-session', { ...saying('count a.'), background: true });
      const id = String(queued.session_id);
      expect(['queued', 'in_progress', 'approval_required']).toContain(queued.kind);
      const asked = await reached(first, id, 'approval_required');
      await first.kill();

      const second = await serve(at, kind);
      await expect(work(second, id)).resolves.toMatchObject({
        kind: 'approval_required',
        pending_request_id: asked.pending_request_id,
      });
      expect(await effects(at, 'a')).toEqual([]);
      await second.kill();
      await answerAtTerminal(at, String(asked.pending_request_id), 'approve');

      const third = await serve(at, kind);
      const done = await reached(third, id, 'completed');
      expect(done).toMatchObject({
        status: 'completed',
        final_turn: { assistant_message: 'It is counted.' },
      });
      expect(await effects(at, 'a')).toHaveLength(1);
    },
    120_000,
  );
});

verifies(
  ['IN-09'],
  'a run is begun, waits, is approved and ends although each process that carries it dies: nobody does more than answer',
  async () => {
    const at = await servedPlace();
    const first = await serve(at, 'v2');
    const queued = await first.call('agent:start-session', { ...saying('count a.'), background: true });
    const id = String(queued.session_id);
    await first.kill(); // with the run in the queue, or taken, or under way

    const second = await serve(at, 'v2');
    const asked = await reached(second, id, 'approval_required');
    await second.kill();
    await answerAtTerminal(at, String(asked.pending_request_id), 'approve');

    const third = await serve(at, 'v2');
    const done = await reached(third, id, 'completed');
    expect(done).toMatchObject({ status: 'completed', final_turn: { assistant_message: 'It is counted.' } });
    expect(await effects(at, 'a')).toHaveLength(1);
    const { checks } = await third.call('agent:get-health');
    const ofRuns = (checks as Doc[]).filter(({ check }) => check === 'effects');
    expect(ofRuns).toMatchObject([{ status: 'ok' }]);
  },
  120_000,
);
