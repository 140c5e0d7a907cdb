// What is taken back while a run is under way counts at its next step: a grant of delegation, a role, a whole principal.
import { expect } from 'vitest';
import type { Caller } from '../../src/kernel/identity.ts';
import { verifies } from '../e2e/verifies.ts';
import { AUTHORIZATION, live, WITHOUT } from '../runtime/delegated.ts';
import { APPROVE, asks, IO, OK, PERSON } from '../runtime/rig.ts';
import { boot, CALLER, createWorld, LONG, user } from './rig.ts';

const FOR_ANNA = { executeTurnInput: { messages: [user('go')], authorization: AUTHORIZATION } };

verifies(
  ['DA-05'],
  'a grant taken back while a session runs, without a restart: the model is asked nothing more on its authority',
  async () => {
    const { bench, onDisk } = await live('cancel');
    const { managed } = bench.runtime;
    bench.tool.run = async () => {
      await onDisk(WITHOUT);
      return OK;
    };
    bench.model.next(asks('note', { n: 1 }), asks('note', { n: 2 }));
    const { session_id: id } = await managed.create(CALLER, FOR_ANNA);
    const refused = { kind: 'error', stage: 'execute_turn', error: { code: 'POLICY_DENIED' } };
    expect(await managed.run(CALLER, id, { reason: 'created' }, IO)).toMatchObject(refused);
    expect([bench.effects.length, bench.model.inputs.length]).toEqual([1, 1]);
    expect(await managed.run(CALLER, id, {}, IO)).toMatchObject(refused);
    await expect(managed.create(CALLER, FOR_ANNA)).rejects.toMatchObject({ code: 'POLICY_DENIED' });
  },
);

verifies(
  { partial: ['DA-04', 'DA-05', 'DA-08'] },
  'a grant taken back while a run waits: it is canceled, or asked anew as on_authorization_revoke says',
  async () => {
    for (const onRevoke of ['cancel', 'cancel_or_reapprove'] as const) {
      const { bench, onDisk } = await live(onRevoke);
      const { managed, kernel, deliverApproval } = bench.runtime;
      bench.model.next(asks('pay', { n: 1 }));
      const { session_id: id } = await managed.create(CALLER, FOR_ANNA);
      const waits = await managed.run(CALLER, id, { reason: 'created' }, IO);
      if (waits.kind !== 'approval_required') throw new Error(waits.kind);
      const { pending_request_id: first } = waits;
      await deliverApproval(PERSON, first, APPROVE);
      await onDisk(WITHOUT);
      const next = await managed.run(CALLER, id, {}, IO);
      expect((await kernel.approvalFor(CALLER.tenant, first))?.state).toBe('revoked');
      expect(bench.effects).toEqual([]);
      if (onRevoke === 'cancel') {
        expect(next).toMatchObject({ kind: 'error', error: { code: 'POLICY_DENIED' } });
        continue;
      }
      if (next.kind !== 'approval_required') throw new Error(next.kind);
      expect(next.pending_request_id).not.toBe(first);
      await deliverApproval(PERSON, next.pending_request_id, APPROVE);
      expect(await managed.run(CALLER, id, {}, IO)).toMatchObject({ error: { code: 'POLICY_DENIED' } });
      expect(bench.effects).toHaveLength(1); // what the person allowed anew, and nothing after it
      expect(bench.model.inputs).toHaveLength(1);
    }
  },
);

verifies(
  { partial: ['PO-20', 'DA-08'] },
  'a role, or the principal itself, taken back while a run is under way counts at its next step',
  async () => {
    const world = createWorld({ mind: LONG(10) });
    const at = boot(world);
    const who: (Caller | undefined)[] = [CALLER, { ...CALLER, roles: ['auditor'] }, undefined];
    const { session_id: id } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [user('go')] },
    });
    const run = at.rig.tool.run;
    at.rig.tool.run = (execution, signal) => {
      who.shift();
      return run(execution, signal);
    };
    const ended = await at.managed.run(CALLER, id, { reason: 'created', callerNow: () => who[0] }, IO);
    expect(ended).toMatchObject({ kind: 'error', error: { code: 'POLICY_DENIED' } });
    expect(world.effects.map(({ context: { caller } }) => caller.roles)).toEqual([CALLER.roles, ['auditor']]);
    expect(at.model.inputs).toHaveLength(2);
  },
);
