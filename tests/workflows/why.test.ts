// Shows that what a suspended branch waits for is known by its code, whatever becomes of the sentence beside it.
import { expect, test } from 'vitest';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import { eventOf } from '../../src/pack/workflows/events.ts';
import { createWorkflows } from '../../src/pack/workflows/workflows.ts';
import { CALLER, createRig, node } from './rig.ts';

const WORKFLOW = { session_id: 'wf', nodes: [node('a')] };

test.each([
  ['stopped', 'completed'],
  ['interrupted', 'completed'],
  ['budget', 'suspended'],
  ['reconcile', 'suspended'],
] as const)('%s, where the sentence was redacted: carried on, it is %s', async (why, kind) => {
  const rig = createRig({ a: [{ suspend: REASONS[why] }, { complete: 'a' }] });
  const redact = (): ReturnType<typeof rig.deps.redact> => ({
    value: { reason: '[REDACTED]' },
    fields: ['reason'],
  });
  const workflows = createWorkflows({ ...rig.deps, redact });
  const first = await workflows.start(CALLER, { workflow: WORKFLOW }, rig.io);
  expect(first.waiting_nodes).toMatchObject([{ needs: 'resume', why, reason: '[REDACTED]' }]);
  expect(await workflows.resume(CALLER, 'wf', { tries: 'unasked' }, rig.io)).toMatchObject({ kind });
});

test('a branch that came to the very same again has not moved, though its sentence was redacted', async () => {
  const rig = createRig({ a: [{ suspend: REASONS.budget }] });
  const workflows = createWorkflows({ ...rig.deps, redact: () => ({ value: { reason: '' }, fields: [] }) });
  await workflows.start(CALLER, { workflow: WORKFLOW }, rig.io);
  const before = await rig.records('wf');
  await workflows.resume(CALLER, 'wf', {}, rig.io);
  expect(await rig.records('wf')).toEqual(before);
});

test('a record without the code is read by its sentence', () => {
  const read = (evidence: Record<string, string>): unknown =>
    eventOf('node_suspended', { node_id: 'a', ...evidence });
  expect(read({ reason: REASONS.busy })).toMatchObject({ why: 'busy' });
  expect(read({ reason: REASONS.busy, why: 'stopped' })).toMatchObject({ why: 'stopped' });
  for (const why of ['', 'constructor', 'no code'])
    expect(read({ reason: 'x', why })).not.toHaveProperty('why');
});
