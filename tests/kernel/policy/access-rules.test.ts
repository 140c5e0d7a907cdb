import { describe, expect, test } from 'vitest';
import type { Decision, DecisionInput } from '../../../src/kernel/policy/decision.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, codes, decide, gateOf, input } from './fixtures.ts';

const caller = input().caller;
const session = input().session;

describe('who calls what', () => {
  verifies(
    { partial: ['TC-13'] },
    'a missing tenant, principal or agent is denied with its id; a valid one is run_010',
    async () => {
      const gate = await gateOf();
      const cases: [Partial<DecisionInput>, string][] = [
        [{ caller: { ...caller, tenant: '' } }, 'run_001'],
        [{ caller: { ...caller, principal: ' ' } }, 'run_002'],
        [{ agentId: '' }, 'run_003'],
        [{ agentId: 'other' }, 'run_003'],
      ];
      for (const [over, alias] of cases) {
        const made = input(over);
        expect(gate.decide(made)).toMatchObject({
          verdict: 'deny',
          ruleId: 'run_precheck',
          aliases: [alias],
        });
        expect(gate.precheck(made)).toMatchObject({ verdict: 'deny', aliases: [alias] });
      }
      expect(gate.precheck(input())).toMatchObject({
        verdict: 'allow',
        aliases: ['run_010'],
        reason: 'run_context_valid',
      });
      const lax = await gateOf({
        policy: { precheck: { requireTenant: false, denyIfPrincipalMissing: false } },
      });
      expect(lax.decide(input({ caller: { ...caller, tenant: '', principal: '' } })).verdict).toBe('allow');
    },
  );

  verifies(['PO-11'], 'the registry says which list matched, denied first', async () => {
    const tool = 'desk:create_ticket';
    const denied = await decide({ policy: { registry: { allowed: [tool], denied: [tool] } } });
    expect(denied).toMatchObject({
      ruleId: 'tool_registry',
      attributes: { 'policy.requested_tool': tool, 'policy.registry_match': 'denied' },
    });
    const unlisted = await decide({ policy: { registry: { allowed: [], denied: [] } } });
    expect(unlisted.attributes['policy.registry_match']).toBe('not_in_allowlist');
    expect(codes(unlisted)).toContain('PG4');
    const both = await decide({ policy: { registry: { allowed: [], denied: [tool] } } });
    expect(both.attributes['policy.registry_match']).toBe('denied');
  });

  verifies(
    { partial: ['CI-01', 'CI-02', 'CI-09', 'PO-18'] },
    'inventory, permission, class and network class gate every call',
    async () => {
      const of = async (
        over: Parameters<typeof capability>[0],
        more: Partial<DecisionInput> = {},
      ): Promise<string[]> => codes(await decide({ capabilities: [capability(over)] }, more));
      expect(codes(await decide({ approved: [] }))).toContain('cap_403');
      expect(codes(await decide({}, { tool: 'desk:none' }))).toEqual(
        expect.arrayContaining(['cap_404', 'cap_403']),
      );
      expect(codes(await decide({}, { tool: 'constructor' }))).toContain('cap_404');
      expect(await of({ networkAccess: 'full', scopes: [] })).toContain('cap_405');
      expect(await of({ allowedEgress: [] })).toContain('cap_406');
      expect(await of({ mode: 'other' as 'read' })).toContain('cap_999');
      expect(await of({ permission: 'admin' })).toEqual(['permission_admin']);
      expect(await of({ permission: 'admin' }, { caller: { ...caller, roles: ['operator'] } })).toEqual([]);
      expect(await of({ class: 'exec' })).toEqual(['kernel.policy.proc-exec-default-deny']);
      expect(await of({ class: 'exec', sandboxed: true })).toEqual([]);
      expect(await of({}, { capability: capability({ id: 'desk:other' }) })).toContain('capability_mismatch');
    },
  );

  test('unpinned, quarantined and falsely declared definitions are denied', async () => {
    const at = async (pin: DecisionInput['pin'], over = {}): Promise<string> =>
      (await decide({ capabilities: [capability(over)] }, { pin })).ruleId;
    expect(await at({ state: 'unpinned' })).toBe('tool_pin');
    expect(await at({ state: 'quarantined', reason: 'changed' })).toBe('tool_pin');
    expect(await at({ state: 'declared', digest: 'd' })).toBe('tool_pin');
    expect(await at({ state: 'declared', digest: 'd' }, { transport: 'in_process' })).toBe('capability_rule');
    expect(await at({ state: 'other' } as never)).toBe('tool_pin');
  });

  verifies(['PO-01', 'PO-02', 'PO-03'], 'intents allow, ask or deny; none and unknown deny', async () => {
    const tool = 'desk:create_ticket';
    const intents = {
      read: { id: 'read', description: '', allowTools: [], approvalRequiredTools: [] },
      write: { id: 'write', description: '', allowTools: [tool], approvalRequiredTools: [] },
      ask: { id: 'ask', description: '', allowTools: [tool], approvalRequiredTools: [tool] },
    };
    const at = (intent?: string, args = {}): Promise<Decision> =>
      decide({ intents }, { args, session: { ...session, ...(intent === undefined ? {} : { intent }) } });
    expect((await at('write')).verdict).toBe('allow');
    expect(await at('ask')).toMatchObject({
      verdict: 'approval_required',
      ruleId: 'intent',
      layer: 'intent',
      aliases: ['agent-runtime.policy.intent-approval', 'escalate'],
      approval: { approver: 'principal', rememberable: false },
    });
    for (const intent of [undefined, '', 'read', 'nope', 'constructor']) {
      const decision = await at(intent, { intent: 'write', agent_intent: 'write' });
      expect(decision).toMatchObject({
        verdict: 'deny',
        ruleId: 'intent',
        aliases: ['agent-runtime.policy.intent-deny'],
      });
    }
  });
});
