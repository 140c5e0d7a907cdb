import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, createRig, node, says } from './rig.ts';

describe('a failed node', () => {
  const two = [
    node('a'),
    node('b'),
    node('after', { depends_on: ['b'] }),
    node('end', { depends_on: ['a', 'after'] }),
  ];

  verifies(
    ['WF-16'],
    'is tried again, each time in a session of its own, and then follows the policy',
    async () => {
      const rig = createRig({
        a: [[{ fail: 'PROVIDER_TIMEOUT' }], [{ fail: 'PROVIDER_TIMEOUT' }], [{ complete: 'a' }]],
      });
      const nodes = [node('a', { retry: { max_attempts: 3, delay_ms: 1000 } })];
      const asked = rig.workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, rig.io);
      for (let turn = 0; turn < 400; turn++) {
        await Promise.resolve();
        if (rig.clock.pending > 0) rig.clock.advance(1000);
      }
      expect(await asked).toMatchObject({ kind: 'completed' });
      expect(rig.sessions.of('a').map(({ parent }) => parent.attempt)).toEqual([1, 2, 3]);

      const late = createRig({ a: [[{ fail: 'PROVIDER_TIMEOUT' }], [{ complete: 'a' }]] });
      const slow = [node('a', { retry: { max_attempts: 2, delay_ms: 3_600_000 } })];
      const parked = await late.workflows.start(
        CALLER,
        { workflow: { session_id: 'wf', nodes: slow } },
        late.io,
      );
      expect(parked).toMatchObject({ kind: 'scheduled', next_wake_at: '2026-01-01T01:00:00.000Z' });
      late.clock.advance(3_600_000);
      await late.fire();
      expect(await late.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind: 'completed' });

      const failing = { b: [{ fail: 'INTERNAL' as const }] };
      const goOn = createRig(failing);
      const continued = await goOn.workflows.start(
        CALLER,
        { workflow: { nodes: two, failure_policy: 'continue' } },
        goOn.io,
      );
      expect(continued).toMatchObject({ kind: 'error', over: true, node_id: 'b', completed_node_ids: ['a'] });
      expect(continued.nodes.map(({ status }) => status)).toEqual([
        'completed',
        'error',
        'skipped',
        'skipped',
      ]);

      const fast = createRig({ ...failing, a: [{ wait: 'apr' }] });
      const failed = await fast.workflows.start(CALLER, { workflow: { nodes: two } }, fast.io);
      expect(failed).toMatchObject({ kind: 'error', over: true, node_id: 'b', error: { code: 'INTERNAL' } });
      expect(failed.nodes.map(({ status }) => status)).toEqual(['canceled', 'error', 'canceled', 'canceled']);
      expect(fast.sessions.of('a')[0]!.canceled).toBe('Its workflow ended.');
    },
  );

  verifies(['WF-16'], 'lets what was completed be undone, last first', async () => {
    const undo = { compensate: { execute_turn_input: says('undo') } };
    const rig = createRig({
      book: [{ complete: 'booked 17' }],
      fly: [{ fail: 'INTERNAL' }],
      'undo pay': [{ wait: 'apr' }, { complete: 'refunded' }],
    });
    const order: string[] = [];
    rig.sessions.gate = async (session) => void order.push(session.node);
    const nodes = [
      node('book', undo),
      node('note', { depends_on: ['book'] }),
      node('pay', { depends_on: ['note'], ...undo }),
      node('fly', { depends_on: ['pay'] }),
    ];
    const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
    const first = await rig.workflows.start(CALLER, { workflow }, rig.io);
    expect(first).toMatchObject({ kind: 'approval_required', node_id: 'pay', over: false });
    const last = await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
    expect(last).toMatchObject({ kind: 'error', over: true, node_id: 'fly' });
    expect(last.nodes.map(({ status }) => status)).toEqual([
      'compensated',
      'completed',
      'compensated',
      'error',
    ]);
    expect(order).toEqual(['book', 'note', 'pay', 'fly', 'undo pay', 'undo pay', 'undo book']);
    expect(rig.sessions.of('undo book')[0]!.input.messages[0]!.content).toContain('booked 17');
  });

  verifies(['WF-16'], 'has as many attempts to undo a step as the node has retries', async () => {
    const retry = { max_attempts: 3, delay_ms: 3_600_000 };
    const undo = { compensate: { execute_turn_input: says('undo') }, retry };
    const fails = [{ fail: 'PROVIDER_TIMEOUT' as const }];
    const rig = createRig({
      early: [{ complete: 'booked' }],
      fly: [{ fail: 'INTERNAL' }],
      'undo late': [fails, fails, [{ complete: 'refunded' }]],
      'undo early': [fails],
    });
    const nodes = [
      node('early', undo),
      node('late', { depends_on: ['early'], ...undo }),
      node('fly', { depends_on: ['late'] }),
    ];
    const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
    const told = await rig.workflows.start(CALLER, { workflow }, rig.io);
    expect(told).toMatchObject({ kind: 'error', over: false });
    expect(told.waiting_nodes).toEqual([
      { node_id: 'late', needs: 'time', wake_at: '2026-01-01T01:00:00.000Z' },
    ]);
    for (let hour = 1; hour <= 4; hour++) {
      expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ over: false });
      rig.clock.advance(3_600_000);
      expect(await rig.fire()).toBe(1);
    }
    const ended = await rig.workflows.inspect(CALLER, 'wf');
    expect(ended).toMatchObject({ kind: 'error', over: true, node_id: 'fly' });
    expect(ended.nodes.map(({ status }) => status)).toEqual(['error', 'compensated', 'error']);
    const attempts = (name: string): number[] => rig.sessions.of(name).map(({ parent }) => parent.attempt);
    expect([attempts('undo late'), attempts('undo early')]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    const log = await rig.workflows.continuations(CALLER, 'wf');
    expect(log.filter(({ node_id: id, kind }) => id === 'late' && kind === 'scheduled')).toHaveLength(2);
  });

  test('a cancel while an attempt at undoing is awaited leaves it not undone', async () => {
    const retry = { max_attempts: 2, delay_ms: 3_600_000 };
    const rig = createRig({ fly: [{ fail: 'INTERNAL' }], 'undo book': [{ fail: 'PROVIDER_TIMEOUT' }] });
    const nodes = [
      node('book', { compensate: { execute_turn_input: says('undo') }, retry }),
      node('fly', { depends_on: ['book'] }),
    ];
    const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
    await rig.workflows.start(CALLER, { workflow }, rig.io);
    expect(await rig.workflows.cancel(CALLER, 'wf', 'enough')).toEqual({ status: 'canceled' });
    expect((await rig.workflows.inspect(CALLER, 'wf')).nodes[0]).toMatchObject({ status: 'error' });
    rig.clock.advance(3_600_000);
    expect(await rig.fire()).toBe(0);
  });

  test('asks nobody for what will not go on, once something is undone', async () => {
    const rig = createRig({
      pays: [{ wait: 'apr_pays' }],
      fails: [{ fail: 'INTERNAL' }],
      'undo books': [{ wait: 'apr_undo' }, { complete: 'undone' }],
    });
    const wake_at = '2027-01-01T00:00:00Z';
    const nodes = [
      node('books', { compensate: { execute_turn_input: says('undo') } }),
      node('pays', { depends_on: ['books'] }),
      node('sleeps', { depends_on: ['books'], wake_at }),
      node('fails', { depends_on: ['books'] }),
    ];
    const workflow = { session_id: 'wf', nodes, failure_policy: 'compensate' };
    const first = await rig.workflows.start(CALLER, { workflow }, rig.io);
    expect(first).toMatchObject({ kind: 'approval_required', node_id: 'books' });
    expect(first.waiting_nodes.map((one) => one.node_id)).toEqual(['books']);
    expect(rig.sessions.of('pays')[0]!.canceled).toBeDefined();
    expect(await rig.store.claimTimers('w', Date.parse(wake_at), 1, 9)).toEqual([]);
    const last = await rig.workflows.resume(CALLER, 'wf', {}, rig.io);
    expect(last).toMatchObject({ kind: 'error', over: true, node_id: 'fails' });
    expect(last.nodes.map(({ status }) => status)).toEqual(['compensated', 'canceled', 'canceled', 'error']);
  });
});

describe('conditions, loops and typed inputs', () => {
  verifies(
    { partial: ['WF-21'] },
    'route by what a node said, and a join runs with the branch that was taken',
    async () => {
      const schema = { type: 'object', properties: { kind: { type: 'string' } }, required: ['kind'] };
      const rig = createRig({ triage: [{ complete: '{"kind":"refund"}' }] });
      const nodes = [
        node('triage', { output_schema: schema }),
        node('refund', { depends_on: ['triage'], when: 'nodes.triage.output.structured.kind == "refund"' }),
        node('chat', { depends_on: ['triage'], when: 'nodes.triage.output.structured.kind == "chat"' }),
        node('more', { depends_on: ['chat'] }),
        node('end', {
          depends_on: ['refund', 'more'],
          inputs: {
            kind: { from: 'triage', path: '/structured/kind' },
            chat: { from: 'chat', path: '/assistant_message' },
          },
        }),
      ];
      const done = await rig.workflows.start(CALLER, { workflow: { nodes } }, rig.io);
      expect(done.nodes.map(({ status }) => status)).toEqual([
        'completed',
        'completed',
        'skipped',
        'skipped',
        'completed',
      ]);
      expect(rig.sessions.of('end')[0]!.input.messages[0]!.content).toContain(
        '"kind": "refund",\n    "chat": null',
      );
    },
  );

  test('an answer that does not fit its schema, a condition without an answer and a wrong type are errors', async () => {
    const schema = { type: 'object', properties: { n: {} }, required: ['n'] };
    const rig = createRig({ a: [[{ complete: 'no JSON' }], [{ complete: '{"n":"text"}' }]] });
    const nodes = [
      node('a', { output_schema: schema, retry: { max_attempts: 2 } }),
      node('b', { depends_on: ['a'], when: 'nodes.a.output.structured.missing > 1' }),
      node('c', { depends_on: ['a'], inputs: { n: { from: 'a', path: '/structured/n', type: 'number' } } }),
    ];
    const done = await rig.workflows.start(
      CALLER,
      { workflow: { session_id: 'wf', nodes, failure_policy: 'continue' } },
      rig.io,
    );
    expect(done).toMatchObject({ kind: 'error', node_id: 'b', error: { code: 'INVALID_INPUT' } });
    expect(done.nodes.map(({ status }) => status)).toEqual(['completed', 'error', 'error']);
    expect(await rig.records('wf')).toContain('node_retried a');
  });

  verifies(
    { partial: ['WF-21'] },
    'a loop runs until its condition holds, with its last output, and not beyond its bound',
    async () => {
      const rig = createRig({
        a: [[{ complete: 'draft' }], [{ complete: 'better' }], [{ complete: 'good' }]],
      });
      const loop = { until: 'output.assistant_message == "good"', max_iterations: 3 };
      const done = await rig.workflows.start(CALLER, { workflow: { nodes: [node('a', { loop })] } }, rig.io);
      expect(done.kind).toBe('completed');
      const runs = rig.sessions.of('a');
      expect(runs.map(({ parent }) => parent.iteration)).toEqual([1, 2, 3]);
      expect(runs[2]!.input.messages[0]!.content).toContain('better');
      const endless = createRig();
      const failed = await endless.workflows.start(
        CALLER,
        { workflow: { nodes: [node('a', { loop })] } },
        endless.io,
      );
      expect(failed).toMatchObject({ kind: 'error', error: { code: 'LIMIT_EXCEEDED' } });
      expect(endless.sessions.of('a')).toHaveLength(3);
    },
  );
});
