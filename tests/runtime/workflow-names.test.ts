// Shows that a workflow that names what the configuration lacks is refused at its start, whoever starts it.
import { expect, test } from 'vitest';
import { CALLER, IO, open, place } from './rig.ts';

test('an unknown model profile is told with its place, and nothing is started', async () => {
  const { runtime, model } = await open(await place());
  const turn = { messages: [{ role: 'user', content: 'go' }], model_profile: 'demoo' };
  const workflow = { session_id: 'wf', nodes: [{ id: 'a', execute_turn_input: turn }] };
  const where = '/nodes/0/execute_turn_input/model_profile';
  await expect(runtime.startWorkflow(CALLER, { workflow }, IO)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: {
      field: where,
      problems: [{ path: where, sentence: 'is not a model profile of runtime.yaml; did you mean "demo"?' }],
    },
  });
  expect(await runtime.store.row('session', CALLER.tenant, 'wf')).toBeUndefined();
  expect(model.inputs).toEqual([]);
});
