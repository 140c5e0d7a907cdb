// Delegated authority through whole calls: what every record shows, and a grant that is taken back while a call waits.
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { AUTHORIZATION, GRANT, GRANTED, live, NARROWED, withGrants, WITHOUT } from './delegated.ts';
import { APPROVE, CALLER, configFor, open, PERSON, place, ticket } from './rig.ts';
import type { Bench } from './rig.ts';

const forAnna = (bench: Bench, tool: string): ReturnType<Bench['ask']> =>
  bench.ask(tool, { n: 1 }, { authorization: AUTHORIZATION });

verifies(
  { partial: ['DA-03', 'DA-07'] },
  'each effect shows tool, runtime and delegated principal side by side',
  async () => {
    const at = await place();
    const bench = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
    const asked = await forAnna(bench, 'note');
    expect((await bench.run(asked)).status).toBe('done');
    const records = await bench.runtime.store.scan({ tenant: CALLER.tenant, limit: 200 });
    const shown = records.flatMap(({ header, evidence }) =>
      header.chain.id === asked.session_id && evidence.state === 'present'
        ? [{ type: header.type, ...evidence.value }]
        : [],
    );
    for (const record of shown) {
      expect(record).toMatchObject({
        authorization_mode: 'user_delegated',
        delegated_principal_id: 'anna',
        delegated_scope: 'errands',
      });
    }
    const waits = ticket(await bench.run(await forAnna(bench, 'pay')));
    const approval = await bench.runtime.inspect(CALLER, 'approval', waits);
    expect(approval.state).toMatchObject({
      tool_principal: 'svc-pay',
      runtime_principal: configFor(at).agent.runtimePrincipal,
      principal_id: CALLER.principal,
      delegated_principal_id: 'anna',
    });
    expect(shown.find(({ type }) => type === 'call_started')).toMatchObject({
      principal_id: CALLER.principal,
      tool_principal: 'svc-note',
      runtime_principal: configFor(at).agent.runtimePrincipal,
      delegated_principal_id: 'anna',
    });
  },
);

test('a tool that the grant does not list is denied to the model at once', async () => {
  const at = await place();
  const bench = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
  const asked = await forAnna(bench, 'look');
  expect((await bench.run(asked)).decision).toMatchObject({ decision: 'deny', rule_id: 'run_precheck' });
  expect(bench.effects).toEqual([]);
});

verifies(
  ['DA-05'],
  'a grant taken back while a call waits: the approval is not enough, nothing runs by itself',
  async () => {
    for (const [onRevoke, expected] of [
      ['cancel', 'denied'],
      ['cancel_or_reapprove', 'approval_required'],
    ] as const) {
      const at = await place();
      const first = await open(at, { config: withGrants(at, [GRANT], onRevoke) });
      const asked = await forAnna(first, 'pay');
      const waits = ticket(await first.run(asked));
      await first.runtime.deliverApproval(PERSON, waits, APPROVE);
      await first.runtime.close();
      const second = await open(at, { config: withGrants(at, [], onRevoke), fakeClock: first.clock });
      const answer = await second.run(asked);
      expect([onRevoke, answer.status]).toEqual([onRevoke, expected]);
      if (expected === 'approval_required') expect(ticket(answer)).not.toBe(waits);
      expect([...first.effects, ...second.effects]).toEqual([]);
    }
  },
);

verifies({ partial: ['DA-06'] }, 'another session inherits nothing of it', async () => {
  const at = await place();
  const bench = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
  const asked = await forAnna(bench, 'note');
  await bench.run(asked);
  const own = await bench.ask('note', { n: 2 });
  await bench.run(own);
  expect(bench.effects.map(({ context }) => context.delegation.mode)).toEqual([
    'user_delegated',
    'platform_owned',
  ]);
});

verifies(
  ['DA-05'],
  'without a restart: an approval given before the grant was taken back is taken back too, and nothing runs',
  async () => {
    for (const [onRevoke, expected] of [
      ['cancel', 'denied'],
      ['cancel_or_reapprove', 'approval_required'],
    ] as const) {
      const { bench, onDisk } = await live(onRevoke);
      const asked = await forAnna(bench, 'pay');
      const waits = ticket(await bench.run(asked));
      await bench.runtime.deliverApproval(PERSON, waits, APPROVE);
      await onDisk(WITHOUT);
      const answer = await bench.run(asked);
      expect([onRevoke, answer.status, answer.decision.reasons[0]]).toEqual([
        onRevoke,
        expected,
        expect.stringContaining('is not granted to this actor, or no longer') as string,
      ]);
      const before = await bench.runtime.kernel.approvalFor(CALLER.tenant, waits);
      expect(before?.state).toBe('revoked');
      // Granting it again gives nobody's earlier word back.
      await onDisk(GRANTED);
      const again = await bench.run(asked);
      expect(['denied', 'approval_required']).toContain(again.status);
      if (again.status === 'approval_required') expect(ticket(again)).not.toBe(waits);
      expect(bench.effects).toEqual([]);
    }
  },
);

test('what is written while it runs only takes away, and a broken edit takes nothing', async () => {
  const { bench, onDisk } = await live('cancel');
  const status = async (tool: string): Promise<string> =>
    (await bench.run(await forAnna(bench, tool))).status;
  await onDisk('identity: [\n');
  expect(await status('note')).toBe('done');
  await onDisk(NARROWED);
  expect(await status('note')).toBe('done');
  await onDisk(GRANTED.replace('[note, pay]', '[note, look]'));
  expect(await status('look')).toBe('denied');
  await onDisk(WITHOUT);
  const refused = await bench.runtime.executeTurn(
    CALLER,
    { messages: [{ role: 'user', content: 'please' }], authorization: AUTHORIZATION },
    { signal: new AbortController().signal },
  );
  expect('error' in refused ? refused.error.code : refused.status).toBe('POLICY_DENIED');
});

test('a model is offered what the delegation covers, and nothing else', async () => {
  const { bench, onDisk } = await live('cancel');
  const offered = (): string[] | undefined =>
    bench.model.inputs
      .at(-1)
      ?.tools.map(({ name }) => name)
      .sort();
  const first = await bench.turn({ authorization: AUTHORIZATION });
  expect(offered()).toEqual(['note', 'pay']);
  await bench.turn();
  expect(offered()).toEqual(['look', 'note', 'pay', 'ticket']);
  await onDisk(NARROWED);
  await bench.turn({ session_id: first.session_id });
  expect(offered()).toEqual(['note']);
  await onDisk(WITHOUT);
  await bench.turn({ session_id: first.session_id });
  expect(offered()).toEqual([]);
});
