// The workflows that the suite runs, and what each must have come to when it is over, whatever died on the way.

const ANSWER = {
  type: 'object',
  properties: { v: { type: 'number' } },
  required: ['v'],
  additionalProperties: true,
};

function node(wf, id, tool, more = {}) {
  const { step = {}, ...rest } = more;
  const content = `STEP ${JSON.stringify({ wf, node: id, ...(tool === undefined ? {} : { tool }), ...step })}`;
  return {
    id,
    execute_turn_input: { messages: [{ role: 'user', content }] },
    output_schema: ANSWER,
    ...rest,
  };
}

const mapped = (from) => ({ from, path: '/structured/v', type: 'number' });

/** Branches with a person, a time, a retry and a loop; a join of all of them; and a way that depends on what came of it. */
function branching(wf, { wakeAt }) {
  const after = { depends_on: ['first'] };
  const branches = ['person', 'timed', 'flaky', 'again'];
  return {
    definition: {
      concurrency: 3,
      nodes: [
        node(wf, 'first', 'ticket', { step: { v: 1 } }),
        node(wf, 'person', 'pay', { ...after, step: { v: 2 } }),
        node(wf, 'timed', 'note', { ...after, wake_at: new Date(wakeAt).toISOString(), step: { v: 3 } }),
        node(wf, 'flaky', 'note', {
          ...after,
          retry: { max_attempts: 3, delay_ms: 200 },
          step: { v: 4, flaky: true },
        }),
        node(wf, 'again', 'look', {
          ...after,
          loop: { until: 'output.structured.v >= 2', max_iterations: 4 },
          step: { counts: true },
        }),
        node(wf, 'join', 'note', {
          depends_on: branches,
          inputs: Object.fromEntries(branches.map((id) => [id, mapped(id)])),
          step: { v: 5 },
        }),
        node(wf, 'yes', 'note', {
          depends_on: ['join'],
          when: 'nodes.join.output.structured.v == 5',
          step: { v: 6 },
        }),
        node(wf, 'no', 'note', {
          depends_on: ['join'],
          when: 'nodes.join.output.structured.v != 5',
          step: { v: 7 },
        }),
      ],
    },
    ends: 'completed',
    statuses: {
      ...Object.fromEntries(['first', ...branches, 'join', 'yes'].map((id) => [id, 'completed'])),
      no: 'skipped',
    },
    effects: { first: 1, person: 1, timed: 1, flaky: 2, again: 2, join: 1, yes: 1 },
    inputs: { join: { person: 2, timed: 3, flaky: 4, again: 2 } },
    wakes: { timed: wakeAt },
    reads: ['again'],
    rejects: [],
  };
}

/** What was done is undone, last first, when a later step fails; a person says no on the way. */
function undone(wf, { wakeAt }) {
  const undo = (id) => ({
    execute_turn_input: node(wf, `undo-${id}`, 'note', { step: { v: 0 } }).execute_turn_input,
  });
  return {
    definition: {
      failure_policy: 'compensate',
      nodes: [
        node(wf, 'one', 'note', { step: { v: 1 }, compensate: undo('one') }),
        node(wf, 'refused', 'pay', { depends_on: ['one'], step: { v: 2 } }),
        node(wf, 'two', 'note', {
          depends_on: ['one'],
          wake_at: new Date(wakeAt).toISOString(),
          step: { v: 2 },
          compensate: undo('two'),
        }),
        node(wf, 'fails', undefined, { depends_on: ['refused', 'two'], step: { wrong: true } }),
      ],
    },
    ends: 'error',
    statuses: { one: 'compensated', refused: 'completed', two: 'compensated', fails: 'error' },
    effects: { one: 1, two: 1, 'undo-one': 1, 'undo-two': 1 },
    inputs: {},
    order: ['undo-two', 'undo-one'],
    wakes: { two: wakeAt },
    rejects: ['refused'],
  };
}

const SHAPES = { branching, undone };

/** A new workflow under the id `wf`. */
export function createWorkflow(wf, shape, facts) {
  const { definition, ...expected } = SHAPES[shape](wf, facts);
  return { id: wf, shape, definition: { ...definition, session_id: wf }, ...expected };
}
