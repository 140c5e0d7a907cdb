// Delegated authority through whole calls: what every record shows, and a grant that is taken back while a call waits.
import { expect, test } from 'vitest';
import type { DelegationGrant, RuntimeConfig } from '../../src/config/types.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, CALLER, configFor, open, PERSON, place, ticket } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const GRANT: DelegationGrant = {
  actor: CALLER.actor,
  principal: 'anna',
  scope: 'errands',
  capabilities: ['note', 'pay'],
};
const AUTHORIZATION = { mode: 'user_delegated', delegated_principal_id: 'anna', delegated_scope: 'errands' };

function withGrants(
  at: Place,
  delegations: DelegationGrant[],
  onRevoke: 'cancel' | 'cancel_or_reapprove',
): RuntimeConfig {
  const config = configFor(at);
  return {
    ...config,
    // As loading does: who may act for whom is part of the policy's digest.
    policy: { ...config.policy, digest: `sha256:policy-${delegations.length}` },
    identity: { ...config.identity, delegations },
    controls: { ...config.controls, delegation: { authorizationMode: 'any', onRevoke } },
  };
}

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
