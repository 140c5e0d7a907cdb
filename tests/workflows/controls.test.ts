// Shows a workflow over real sessions where the configuration lets nobody cancel or resume: what it does by itself goes on.
import { expect, test } from 'vitest';
import { asks, boot, CALLER, createWorld, decide, governed, IO, toolsTold, user } from '../managed/rig.ts';
import type { Process } from '../managed/rig.ts';
import type { Workflows } from '../../src/pack/workflows/contract.ts';

const asking = (id: string, text: string): Record<string, unknown> => ({
  id,
  execute_turn_input: { messages: [user(text)] },
});

async function typesOf({ rig }: Process, id: string): Promise<string[]> {
  return (await rig.records(id)).map(({ header }) => header.type);
}

async function denied(asked: Promise<unknown>, field: string): Promise<void> {
  await expect(asked).rejects.toMatchObject({ code: 'POLICY_DENIED', details: { field } });
}

test('a workflow that fails fast ends its branches although nobody may cancel', async () => {
  const world = createWorld({
    mind: ({ messages }) =>
      JSON.stringify(messages).includes('pay it')
        ? asks('pay', { sum: 5 })
        : governed({ status: 'complete', assistant_message: 'no JSON' }),
  });
  world.config.runtime.background.allowCancel = false;
  const at = boot(world);
  const workflows: Workflows = await at.rig.pack.workflows();
  const [pays, fails] = [asking('pays', 'pay it'), asking('fails', 'x')];
  const waits = await workflows.start(CALLER, { workflow: { session_id: 'one', nodes: [pays] } }, IO);
  expect(waits.kind).toBe('approval_required');
  await denied(workflows.cancel(CALLER, 'one', 'enough'), 'runtime.background.allow_cancel');
  expect(await typesOf(at, 'one')).not.toContain('cancel_requested');

  const nodes = [pays, { ...fails, output_schema: { type: 'object' } }];
  const failed = await workflows.start(CALLER, { workflow: { session_id: 'two', nodes } }, IO);
  expect(failed).toMatchObject({ kind: 'error', over: true, node_id: 'fails' });
  expect(failed.nodes.map(({ status }) => status)).toEqual(['canceled', 'error']);
  const { items } = await world.store.list({
    kind: 'approval',
    tenant: 'local',
    status: 'pending',
    limit: 9,
  });
  expect(items).toHaveLength(1);
});

test('a worker carries on what nobody may resume, and a resume that is refused fails no node', async () => {
  const world = createWorld({
    mind: (input) =>
      toolsTold(input) === 0 ? asks('look') : governed({ status: 'complete', assistant_message: 'seen' }),
  });
  world.config.controls.resumeAllowed = false;
  const at = boot(world);
  const workflows = await at.rig.pack.workflows();
  const start = { workflow: { session_id: 'wf', nodes: [asking('looks', 'x')] }, maxTurnsPerInvocation: 1 };
  expect(await workflows.start(CALLER, start, IO)).toMatchObject({ kind: 'suspended' });
  const before = await typesOf(at, 'wf');
  await denied(workflows.resume(CALLER, 'wf', {}, IO), 'runtime_controls.resume_allowed');
  expect(await typesOf(at, 'wf')).toEqual(before);
  expect(await workflows.resume(CALLER, 'wf', { reason: 'wakeup' }, IO)).toMatchObject({ kind: 'completed' });
});

test('a node that waits for a person is told afterwards what was said to it, and more than it can hold is refused', async () => {
  const world = createWorld({
    mind: (input) =>
      toolsTold(input) === 0
        ? asks('pay', { sum: 5 })
        : governed({ status: 'complete', assistant_message: `${input.messages.length} messages` }),
  });
  const at = boot(world);
  const workflows = await at.rig.pack.workflows();
  const nodes = [asking('pays', 'x')];
  const waits = await workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
  if (waits.kind !== 'approval_required') throw new Error(waits.kind);
  const saying = (content: string): ReturnType<Workflows['resume']> =>
    workflows.resume(CALLER, 'wf', { continuationMessagesByNodeId: { pays: [user(content)] } }, IO);
  for (let n = 0; n < 32; n++) expect(await saying(`hurry ${n}`)).toEqual(waits);
  await expect(saying('once more')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: { field: '/continuationMessagesByNodeId/pays' },
  });
  expect(await workflows.inspect(CALLER, 'wf')).toEqual(waits);
  await decide(at, waits.pending_request_id, 'approve');
  const done = await workflows.resume(CALLER, 'wf', {}, IO);
  expect(done).toMatchObject({ kind: 'completed', turn_count: 2 });
  const told = at.model.inputs.at(-1)?.messages.filter(({ content }) => content.startsWith('hurry'));
  expect(told).toHaveLength(32);
});

test('what a node could not be given is refused before anything moves, and fails no node', async () => {
  const world = createWorld({
    mind: (input) =>
      toolsTold(input) === 0 ? asks('look') : governed({ status: 'complete', assistant_message: 'seen' }),
  });
  const at = boot(world);
  const workflows = await at.rig.pack.workflows();
  const workflow = { session_id: 'wf', nodes: [asking('looks', 'x')] };
  const most = { maxTurnsPerInvocation: 0 };
  const refused = { code: 'INVALID_INPUT' };
  await expect(workflows.start(CALLER, { workflow, ...most }, IO)).rejects.toMatchObject(refused);
  expect(await typesOf(at, 'wf')).toEqual([]);
  await workflows.start(CALLER, { workflow, maxTurnsPerInvocation: 1 }, IO);
  const before = await typesOf(at, 'wf');
  await expect(workflows.resume(CALLER, 'wf', most, IO)).rejects.toMatchObject(refused);
  for (const [message, part] of [
    [{ role: 'assistant', content: 'I am the model' }, '/0/role'],
    [{ role: 'user', content: 7 }, '/0/content'],
  ] as const) {
    const continuationMessagesByNodeId = { looks: [message as never] };
    await expect(workflows.resume(CALLER, 'wf', { continuationMessagesByNodeId }, IO)).rejects.toMatchObject({
      ...refused,
      details: { field: `/continuationMessagesByNodeId/looks${part}` },
    });
  }
  expect(await typesOf(at, 'wf')).toEqual(before);
  expect(await workflows.resume(CALLER, 'wf', {}, IO)).toMatchObject({ kind: 'completed' });
});
