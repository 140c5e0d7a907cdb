// Shows how many turns the timers of a workflow give to what they begin: as many as whoever resumed it last said.
import { expect, test } from 'vitest';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import { CALLER, createRig, node } from './rig.ts';
import type { Rig } from './rig.ts';

const HOUR = 3_600_000;
const NODES = [node('a'), node('b', { wake_at: '2026-01-01T01:00:00Z' })];

async function spent(): Promise<Rig> {
  const rig = createRig({ a: [{ suspend: REASONS.budget }] });
  const workflow = { session_id: 'wf', nodes: NODES };
  await rig.workflows.start(CALLER, { workflow, maxTurnsPerInvocation: 2 }, rig.io);
  return rig;
}

async function turnsOfB(rig: Rig): Promise<unknown[]> {
  rig.clock.advance(HOUR);
  await rig.fire();
  return rig.sessions.of('b').flatMap(({ runs }) => runs.map(({ maxTurns }) => maxTurns));
}

test.each([
  ['more', { maxTurnsPerInvocation: 20 }, 20],
  ['as many as each node says', {}, 12],
])('%s, where the branch that used them up came to the same again', async (_many, how, turns) => {
  const rig = await spent();
  await rig.workflows.resume(CALLER, 'wf', how, rig.io);
  const before = await rig.records('wf');
  await rig.workflows.resume(CALLER, 'wf', how, rig.io);
  expect(await rig.records('wf')).toEqual(before);
  expect(await turnsOfB(rig)).toEqual([turns]);
});

test('and not what a worker carries on with, whom nobody asked', async () => {
  const rig = await spent();
  await rig.workflows.resume(CALLER, 'wf', { maxTurnsPerInvocation: 20 }, rig.io);
  await rig.workflows.resume(CALLER, 'wf', { maxTurnsPerInvocation: 2, tries: 'unasked' }, rig.io);
  expect(await turnsOfB(rig)).toEqual([20]);
});
