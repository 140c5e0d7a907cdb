// Work that is run at once, work that is queued, and work that stopped and can be resumed look different everywhere.
import { expect, test } from 'vitest';
import { governed } from '../managed/rig.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, IO, open, place } from '../runtime/rig.ts';

const DONE = governed({ status: 'complete', assistant_message: 'done' });

verifies(
  ['QB-03'],
  'a run at once, one in the background and one that can be resumed are told apart in answers, lists and inspection',
  async () => {
    const bench = await open(await place(), { callerOf: () => CALLER });
    const { runtime, model } = bench;
    const input = { execute_turn_input: { messages: [{ role: 'user' as const, content: 'go' }] } };
    const shown = async (id: string): Promise<unknown[]> => {
      const { items } = await runtime.listSessions(CALLER, { filter: { session_id: id } });
      const { state } = await runtime.inspect(CALLER, 'session', id);
      return [items[0]?.status, (state.work as { kind: string }).kind];
    };

    model.next(DONE);
    const atOnce = await runtime.startSession(CALLER, input, IO);
    expect(atOnce).toMatchObject({ kind: 'completed', status: 'completed' });
    expect(await shown(atOnce.session_id)).toEqual(['completed', 'completed']);

    model.next(asks('note', { n: 1 }));
    const bounded = await runtime.startSession(CALLER, { ...input, max_turns_per_invocation: 1 }, IO);
    expect(bounded).toMatchObject({ kind: 'suspended', status: 'suspended' });
    expect(await shown(bounded.session_id)).toEqual(['suspended', 'suspended']);

    const asked = model.inputs.length;
    const later = await runtime.startSession(CALLER, { ...input, background: true }, IO);
    expect(later).toMatchObject({ kind: 'queued', status: 'queued', position: 0 });
    expect(await shown(later.session_id)).toEqual(['queued', 'queued']);
    expect(model.inputs).toHaveLength(asked);

    model.next(DONE, DONE);
    expect(await runtime.resumeSession(CALLER, { session_id: bounded.session_id }, IO)).toMatchObject({
      kind: 'completed',
    });
    const worker = await runtime.startWorker();
    await worker.tick();
    await worker.settled();
    expect(await shown(later.session_id)).toEqual(['completed', 'completed']);
    const ended = [atOnce, bounded, later].map(({ session_id: id }) => id);
    for (const id of ended) {
      await expect(runtime.resumeSession(CALLER, { session_id: id }, IO)).rejects.toMatchObject({
        code: 'SESSION_CLOSED',
      });
    }
    expect(bench.effects).toHaveLength(1);
  },
);

test('a workflow that is started in the background again is queued once, and what was suspended waits for a resume', async () => {
  const bench = await open(await place(), { callerOf: () => CALLER });
  const { runtime, model } = bench;
  const nodes = [{ id: 'looks', execute_turn_input: { messages: [{ role: 'user', content: 'go' }] } }];
  const most = { max_turns_per_invocation: 1 };
  const start = { workflow: { session_id: 'wf', nodes }, background: true, ...most };
  const first = await runtime.startWorkflow(CALLER, start, IO);
  expect(first).toMatchObject({ kind: 'queued', session_id: 'wf', position: 0 });
  expect(await runtime.startWorkflow(CALLER, start, IO)).toEqual(first);
  model.next(asks('note', { n: 1 }), DONE);
  const worker = await runtime.startWorker();
  const worked = async (): Promise<unknown> => {
    await worker.tick();
    await worker.settled();
    return runtime.work(CALLER, 'wf');
  };
  await expect.poll(worked).toMatchObject({ kind: 'suspended', turn_count: 1 });
  expect(await runtime.startWorkflow(CALLER, start, IO)).toMatchObject({ kind: 'queued' });
  await expect.poll(worked).toMatchObject({ kind: 'suspended', turn_count: 1 });
  await runtime.resumeWorkflow(CALLER, { session_id: 'wf', background: true, ...most }, IO);
  await expect(
    runtime.resumeWorkflow(CALLER, { session_id: 'wf', background: true }, IO),
  ).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect.poll(worked).toMatchObject({ kind: 'completed', turn_count: 2 });
});
