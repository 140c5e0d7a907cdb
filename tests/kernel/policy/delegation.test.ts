// Delegated authority at the gate: which modes there are, what a grant covers, and what a revocation does.
import { expect, test } from 'vitest';
import type { DelegationGrant, RuntimeConfig } from '../../../src/config/types.ts';
import { NO_DELEGATION } from '../../../src/kernel/identity.ts';
import type { Delegation } from '../../../src/kernel/identity.ts';
import type { Decision } from '../../../src/kernel/policy/decision.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, input, SCHEMA } from './fixtures.ts';

const FOR_ANNA: Delegation = { mode: 'user_delegated', delegatedPrincipalId: 'anna', delegatedScope: 'desk' };
const GRANT: DelegationGrant = { actor: 'stdio:1', principal: 'anna', scope: 'desk' };

async function decide(
  delegation: Delegation,
  grants: DelegationGrant[] = [GRANT],
  settings?: RuntimeConfig['controls']['delegation'],
): Promise<Decision> {
  const own = capability();
  const made = {
    ...config({ capabilities: [own] }),
    identity: { delegations: grants },
    controls: settings === undefined ? {} : { delegation: settings },
  } as unknown as RuntimeConfig;
  const gate = createGate(made);
  await gate.prepare({ inputSchema: SCHEMA });
  return gate.decide(input({ delegation, capability: own, inputSchema: SCHEMA }));
}

const ANY = { authorizationMode: 'any', onRevoke: 'cancel_or_reapprove' } as const;

verifies(
  { partial: ['DA-01'] },
  'only the three modes are accepted, and only those that are allowed',
  async () => {
    expect((await decide(NO_DELEGATION, [])).verdict).toBe('allow');
    expect((await decide(FOR_ANNA)).verdict).toBe('allow');
    const odd = await decide({ ...FOR_ANNA, mode: 'root' as 'user_delegated' });
    expect([odd.verdict, odd.ruleId, odd.reasons[0]]).toEqual([
      'deny',
      'run_precheck',
      'Authorization mode is not supported: root',
    ]);
    expect(await decide({ ...FOR_ANNA, mode: 'human_approved' })).toMatchObject({
      aliases: ['delegation_mode'],
    });
    const only = { authorizationMode: 'platform_owned', onRevoke: 'cancel' } as const;
    expect(await decide(FOR_ANNA, [GRANT], only)).toMatchObject({
      verdict: 'deny',
      aliases: ['delegation_mode'],
    });
  },
);

verifies(
  { partial: ['DA-02'] },
  'a principal and a scope are needed, and the scope covers the capability',
  async () => {
    for (const [field, missing] of [
      ['delegated_principal_id', { delegatedPrincipalId: ' ' }],
      ['delegated_scope', { delegatedScope: '' }],
    ] as const) {
      expect((await decide({ ...FOR_ANNA, ...missing })).reasons[0]).toBe(
        `Delegated authorization field is required: ${field}`,
      );
    }
    const scoped = async (scope: string, capabilities?: string[]): Promise<string> => {
      const grant = { ...GRANT, scope, ...(capabilities === undefined ? {} : { capabilities }) };
      return (await decide({ ...FOR_ANNA, delegatedScope: scope }, [grant])).verdict;
    };
    expect(await scoped('desk')).toBe('allow');
    expect(await scoped('create_ticket')).toBe('allow');
    expect(await scoped('desk:create_ticket')).toBe('allow');
    expect(await scoped('des')).toBe('deny');
    expect(await scoped('desk', ['desk:read_doc'])).toBe('deny');
    expect(await scoped('support', ['desk:create_ticket'])).toBe('allow');
  },
);

verifies({ partial: ['DA-05'] }, 'a grant that is gone asks a person anew, or cancels', async () => {
  const asked = await decide(FOR_ANNA, []);
  expect([asked.verdict, asked.approval?.rememberable, asked.reasons[0]]).toEqual([
    'approval_required',
    false,
    'the delegation by anna for desk is not granted to this actor, or no longer',
  ]);
  const cancel = { authorizationMode: 'any', onRevoke: 'cancel' } as const;
  expect(await decide(FOR_ANNA, [], cancel)).toMatchObject({
    verdict: 'deny',
    aliases: ['delegation_revoked'],
  });
  expect((await decide(FOR_ANNA, [{ ...GRANT, actor: 'stdio:2' }], cancel)).verdict).toBe('deny');
  expect((await decide(FOR_ANNA, [{ ...GRANT, actor: 'stdio' }], cancel)).verdict).toBe('allow');
});

test('in the mode human_approved a person approves each effect', async () => {
  const decision = await decide({ ...FOR_ANNA, mode: 'human_approved' }, [GRANT], ANY);
  expect(decision).toMatchObject({ verdict: 'approval_required', ruleId: 'run_precheck' });
});
