// On whose authority a workflow runs: its nodes have the delegation that they name themselves, for as long as it is granted,
// and the roles and scopes that their caller has by now.
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { governed, user } from '../managed/rig.ts';
import { AUTHORIZATION, GRANTED, live, WITHOUT } from '../runtime/delegated.ts';
import type { Live } from '../runtime/delegated.ts';
import { APPROVE, asks, CALLER, IO, open, PERSON, place } from '../runtime/rig.ts';
import type { Bench } from '../runtime/rig.ts';
import { BY } from './rig.ts';

const DONE = governed({ status: 'complete', assistant_message: 'done' });
const plain = (id: string, more: object = {}): object => ({
  id,
  execute_turn_input: { messages: [user(id)] },
  ...more,
});
const forAnna = (id: string, more: object = {}): object =>
  plain(id, { execute_turn_input: { messages: [user(id)], authorization: AUTHORIZATION }, ...more });

const authorities = ({ effects }: Bench): unknown[] =>
  effects.map(({ context: { delegation } }) => [delegation.mode, delegation.delegatedPrincipalId]);
const offered = ({ model }: Bench): string[][] =>
  model.inputs.map(({ tools }) => tools.map(({ name }) => name).sort());

/** A workflow whose one node acts for Anna and waits for the approval of a payment. */
async function waiting({ bench }: Live): Promise<string> {
  bench.model.next(asks('pay', { sum: 1 }));
  const nodes = [forAnna('pay'), forAnna('after', { depends_on: ['pay'] })];
  const begun = await (
    await bench.runtime.workflows()
  ).start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
  if (begun.kind !== 'approval_required') throw new Error(begun.kind);
  return begun.pending_request_id;
}

describe('the nodes of a workflow', () => {
  verifies(
    ['DA-06'],
    'a node acts for somebody else only where it says so itself: what comes after it and beside it inherits nothing',
    async () => {
      const { bench } = await live('cancel');
      const { model, runtime } = bench;
      const workflows = await runtime.workflows();
      for (const tool of ['note', 'look']) model.next(asks(tool, { n: 1 }), DONE);
      const nodes = [forAnna('anna'), plain('own', { depends_on: ['anna'] })];
      const done = await workflows.start(CALLER, { workflow: { nodes } }, IO);
      expect(done.kind).toBe('completed');
      expect(authorities(bench)).toEqual([
        ['user_delegated', 'anna'],
        ['platform_owned', ''],
      ]);
      const [first, , second] = offered(bench);
      expect([first, second]).toEqual([
        ['note', 'pay'],
        ['look', 'note', 'pay', 'ticket'],
      ]);

      bench.effects.length = 0;
      model.next(asks('look', { n: 2 }), DONE);
      const beyond = await workflows.start(CALLER, { workflow: { nodes: [forAnna('beyond')] } }, IO);
      expect(beyond.kind).toBe('completed');
      expect(bench.effects).toEqual([]);
    },
  );

  verifies(
    { partial: ['DA-02', 'DA-06'] },
    'a claim counts for the actor that it was granted to, whoever carries the workflow on',
    async () => {
      const { bench } = await live('cancel');
      const { model, runtime } = bench;
      const workflows = await runtime.workflows();
      const stranger = { ...CALLER, actor: 'stdio:999' };
      const asked = model.inputs.length;
      const refused = await workflows.start(stranger, { workflow: { nodes: [forAnna('a')] } }, IO);
      expect(refused).toMatchObject({ kind: 'error', error: { code: 'POLICY_DENIED' } });
      expect(model.inputs.length).toBe(asked);

      model.next(asks('note', { n: 1 }));
      const nodes = [forAnna('a')];
      const input = { workflow: { nodes }, maxTurnsPerInvocation: 1 };
      const { session_id: id } = await workflows.start(CALLER, input, IO);
      model.next(DONE);
      expect(await workflows.resume(stranger, id, {}, IO)).toMatchObject({ kind: 'completed' });
      expect(authorities(bench)).toEqual([['user_delegated', 'anna']]);
    },
  );

  verifies(
    { partial: ['DA-05', 'DA-08'] },
    'a grant taken back while a node waits: what was approved is taken back, nothing runs, no later node begins',
    async () => {
      for (const onRevoke of ['cancel', 'cancel_or_reapprove'] as const) {
        const at = await live(onRevoke);
        const { bench, onDisk } = at;
        const { runtime, model } = bench;
        const approval = await waiting(at);
        await runtime.deliverApproval(PERSON, approval, APPROVE);
        await onDisk(WITHOUT);
        const asked = model.inputs.length;
        const workflows = await runtime.workflows();
        const stopped = await workflows.resume(CALLER, 'wf', {}, IO);
        expect(stopped).toMatchObject(
          onRevoke === 'cancel'
            ? { kind: 'error', over: true, error: { code: 'POLICY_DENIED' } }
            : { kind: 'approval_required' },
        );
        expect((await runtime.kernel.approvalFor(CALLER.tenant, approval))?.state).toBe('revoked');
        // Granting it again gives nobody's earlier word back.
        await onDisk(GRANTED);
        if (!stopped.over) await workflows.resume(CALLER, 'wf', {}, IO);
        expect([bench.effects, model.inputs.length]).toEqual([[], asked]);
      }
    },
  );

  test('a node that begins after its grant was taken back does not ask the model', async () => {
    const { bench, onDisk } = await live('cancel');
    const { model, runtime } = bench;
    model.next(DONE);
    const nodes = [forAnna('a'), forAnna('b', { depends_on: ['a'], wake_at: '2027-01-01T00:00:00Z' })];
    const workflows = await runtime.workflows();
    await workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
    const asked = model.inputs.length;
    await onDisk(WITHOUT);
    bench.clock.setWall(Date.UTC(2027, 0, 1));
    const woken = await workflows.wake('local', { kind: 'workflow_wake', session_id: 'wf' }, BY(IO));
    expect(woken).toMatchObject({ kind: 'error', node_id: 'b', error: { code: 'POLICY_DENIED' } });
    expect(model.inputs.length).toBe(asked);
  });
});

verifies(
  { partial: ['PO-20', 'DA-08'] },
  'nodes run with the roles and scopes of whoever resumes or wakes them now, and for nobody whom nobody knows',
  async () => {
    const bench = await open(await place());
    const { model, runtime } = bench;
    const workflows = await runtime.workflows();
    model.next(asks('note', { n: 1 }), DONE, asks('note', { n: 2 }), DONE, asks('note', { n: 3 }), DONE);
    const wake = { wake_at: '2027-01-01T00:00:00Z' };
    const nodes = [plain('a'), plain('b', { ...wake, depends_on: ['a'] })];
    const starter = { ...CALLER, roles: ['operator'], scopes: ['all'] };
    await workflows.start(starter, { workflow: { session_id: 'wf', nodes } }, IO);
    bench.clock.setWall(Date.UTC(2027, 0, 1));
    const payload = { kind: 'workflow_wake', session_id: 'wf' };
    const unknown = { callerOf: () => undefined, io: IO };
    expect(await workflows.wake('local', payload, unknown)).toBe('unknown_principal');
    expect(bench.effects).toHaveLength(1);
    const less = { roles: ['auditor'], scopes: ['few'], actor: 'worker', lane: 'other' };
    expect(await workflows.wake('local', payload, BY(IO, less))).toMatchObject({ kind: 'completed' });
    const seen = bench.effects.map(({ context: { caller } }) => caller);
    expect(seen).toEqual([starter, { ...CALLER, roles: ['auditor'], scopes: ['few'] }]);
  },
);
