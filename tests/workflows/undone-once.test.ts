// Shows which attempts at undoing a step are repeated by themselves: those only that had no effect.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { asks, boot, CALLER, createWorld, governed, IO, toolsTold, user } from '../managed/rig.ts';
import type { Mind, World } from '../managed/rig.ts';

const DONE = governed({ status: 'complete', assistant_message: 'done' });
const retry = { max_attempts: 3, delay_ms: 3_600_000 };
const NODES = [
  {
    id: 'book',
    execute_turn_input: { messages: [user('book')] },
    compensate: { execute_turn_input: { messages: [user('undo')] } },
    retry,
  },
  { id: 'fly', depends_on: ['book'], execute_turn_input: { messages: [user('fly')] } },
];
const WORKFLOW = { session_id: 'wf', nodes: NODES, failure_policy: 'compensate' };

function fails(): never {
  throw new RuntimeError('PROVIDER_TIMEOUT');
}

/** Undoing calls the tool, and then its provider fails. */
function undoingWith(tool: string): Mind {
  return (input) => {
    const said = input.messages.map(({ content }) => content);
    if (said.includes('undo')) return toolsTold(input) === 0 ? asks(tool, { n: 1 }) : fails();
    return said.includes('fly') ? fails() : DONE;
  };
}

async function attempts({ store }: World): Promise<[string, unknown][]> {
  const records = await store.read({ tenant: 'local', aggregate: 'session', id: 'wf' });
  return records.flatMap(({ header, evidence }): [string, unknown][] =>
    header.type.startsWith('compensation_') && evidence.state === 'present'
      ? [[header.type, evidence.value.error]]
      : [],
  );
}

test('an attempt that wrote is not repeated, and its error says why', async () => {
  const world = createWorld({ mind: undoingWith('note') });
  const workflows = await boot(world).rig.pack.workflows();
  const told = await workflows.start(CALLER, { workflow: WORKFLOW }, IO);
  expect(told).toMatchObject({ kind: 'error', over: true, node_id: 'fly' });
  expect(told.nodes.map(({ status }) => status)).toEqual(['error', 'error']);
  expect(world.effects).toHaveLength(1);
  expect(await attempts(world)).toMatchObject([
    ['compensation_started', undefined],
    [
      'compensation_failed',
      { code: 'PROVIDER_TIMEOUT', message: expect.stringContaining('is not tried again') as string },
    ],
  ]);
});

test('one that only read is', async () => {
  const world = createWorld({ mind: undoingWith('look') });
  const workflows = await boot(world).rig.pack.workflows();
  const told = await workflows.start(CALLER, { workflow: WORKFLOW }, IO);
  expect(told).toMatchObject({ over: false, waiting_nodes: [{ node_id: 'book', needs: 'time' }] });
});
