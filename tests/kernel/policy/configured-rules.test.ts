import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PolicyRule, Verdict } from '../../../src/config/types.ts';
import type { Decision } from '../../../src/kernel/policy/decision.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, codes, config, decide, input, layer, rule, withRules } from './fixtures.ts';
import type { ConfigParts } from './fixtures.ts';

describe('configured rules', () => {
  verifies(
    { partial: ['PO-05'] },
    'deny beats approval beats allow in one layer, and the default counts only where nothing matches',
    async () => {
      const approval = rule({ id: 'ask', decision: 'approval_required' });
      const no = rule({ id: 'no', decision: 'deny', reason: 'never' });
      expect((await decide(withRules(rule()))).verdict).toBe('allow');
      expect((await decide(withRules(rule(), approval))).verdict).toBe('approval_required');
      expect(await decide(withRules(approval, rule(), no))).toMatchObject({
        verdict: 'deny',
        reasons: ['never', 'configured'],
      });
      for (const defaultDecision of ['allow', 'deny', 'approval_required'] as const) {
        const parts = withRules(rule({ when: 'false' }));
        const decision = await decide({ policy: { ...parts.policy, defaultDecision } });
        expect(decision.verdict).toBe(defaultDecision);
        expect((await decide({ policy: { ...withRules(rule()).policy, defaultDecision } })).verdict).toBe(
          'allow',
        );
      }
    },
  );

  verifies(
    { partial: ['PO-05', 'PO-18'] },
    'no rule added to lane or task, and no rule of deny or approval anywhere, loosens a decision',
    async () => {
      const WEIGHT = { allow: 0, approval_required: 1, deny: 2 } as const;
      const verdicts = fc.constantFrom<Verdict>('allow', 'deny', 'approval_required');
      const when = fc.constantFrom(
        undefined,
        'args.count > 1',
        'args.count > 100',
        'args.missing == 1',
        'identity.tenant == "t"',
      );
      const approver = fc.constantFrom(undefined, 'principal', 'other', 'role:a', 'role:b');
      const anyRule = fc
        .record({ decision: verdicts, when, approver, id: fc.uuid() })
        .map(({ decision, when: w, approver: a, id }) =>
          rule({
            id,
            decision,
            ...(w === undefined ? {} : { when: w }),
            ...(a === undefined ? {} : { approver: a }),
          }),
        );
      const rules = fc.array(anyRule, { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(
          rules,
          rules,
          rules,
          verdicts,
          anyRule,
          async (workspace, lane, task, defaultDecision, extra) => {
            const at = async (laneRules: PolicyRule[], taskRules: PolicyRule[]): Promise<Decision> =>
              decide({
                policy: {
                  defaultDecision,
                  workspace: layer('workspace', 'w', { rules: workspace }),
                  lanes: { default: layer('lane', 'default', { rules: laneRules }) },
                  tasks: { 'agent-session': layer('task', 'agent-session', { rules: taskRules }) },
                },
              });
            const before = await at(lane, task);
            for (const after of [await at([...lane, extra], task), await at(lane, [...task, extra])]) {
              expect(WEIGHT[after.verdict]).toBeGreaterThanOrEqual(WEIGHT[before.verdict]);
              if (after.approval !== undefined && before.approval !== undefined) {
                if (before.approval.approver.startsWith('role:'))
                  expect(after.approval.approver).toBe(before.approval.approver);
                expect(after.approval.rememberable && !before.approval.rememberable).toBe(false);
              }
            }
            const alone = await at([], []);
            expect(WEIGHT[before.verdict]).toBeGreaterThanOrEqual(WEIGHT[alone.verdict]);
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  verifies(
    { partial: ['PO-18'] },
    'the catalog and the risk ask for approval whatever arguments claim, with the source ids',
    async () => {
      const of = (over: Parameters<typeof capability>[0]): ConfigParts => ({
        capabilities: [capability(over)],
      });
      const bypass = {
        args: { simulate_failure: true, approved: true, decision: 'allow', idempotency_key: '' },
      };
      const write = await decide(of({ approval: { approver: 'manager' } }), bypass);
      expect(write).toMatchObject({
        verdict: 'approval_required',
        approval: { approver: 'role:manager', rememberable: false },
      });
      expect(write.aliases).toEqual(['cap_201', 'kernel.policy.approval-required', 'escalate']);
      expect(codes(await decide(of({ mode: 'read', approval: { approver: 'other' } }), bypass))).toContain(
        'cap_210',
      );
      expect(codes(await decide(of({ risk: 'critical' }), bypass))).toContain('cap_211');
      const aliases = async (parts: ConfigParts): Promise<string[]> => (await decide(parts)).aliases;
      expect(await aliases({})).toEqual(['r1', 'cap_110']);
      expect(await aliases(withRules(rule({ decision: 'approval_required' })))).toEqual([
        'r1',
        'cap_210',
        'escalate',
      ]);
      expect(await aliases(withRules(rule({ decision: 'deny' })))).toEqual(['r1', 'cap_410']);
      const policy = { defaultDecision: 'allow' as const, workspace: layer('workspace', 'w') };
      expect(await aliases({ policy, capabilities: [capability({ mode: 'read' })] })).toEqual([
        'agent-runtime.policy.default',
        'cap_101',
      ]);
    },
  );

  verifies(
    { partial: ['PO-17'] },
    'escalate is the alias of an approval, with the strictest approver',
    async () => {
      const ask = (id: string, approver?: string, rememberable = true): PolicyRule =>
        rule({
          id,
          decision: 'approval_required',
          rememberable,
          ...(approver === undefined ? {} : { approver }),
        });
      const approval = async (...rules: PolicyRule[]): Promise<Decision['approval']> =>
        (await decide(withRules(...rules))).approval;
      expect(await approval(ask('a'))).toEqual({ approver: 'principal', rememberable: true });
      expect(await approval(ask('a'), ask('b', 'other', false))).toEqual({
        approver: 'other',
        rememberable: false,
      });
      expect(await approval(ask('b', 'role:x'), ask('c', 'principal'))).toEqual({
        approver: 'role:x',
        rememberable: true,
      });
      // A principal who has the role could approve a call of their own, which `other` forbids.
      const own = await decide(withRules(ask('a', 'other'), ask('b', 'role:x'), ask('c', 'principal')));
      expect(own).toMatchObject({
        verdict: 'deny',
        ruleId: 'capability_rule',
        attributes: { 'policy.approvers': ['other', 'role:x'] },
      });
      expect((await decide(withRules(ask('a')))).aliases).toContain('escalate');
      const two = await decide(withRules(ask('a', 'role:x'), ask('b', 'role:y')));
      expect(two).toMatchObject({
        verdict: 'deny',
        ruleId: 'capability_rule',
        attributes: { 'policy.approvers': ['role:x', 'role:y'] },
      });
      const capabilities = [capability({ approval: { approver: 'y' } })];
      const beside = async (approver: string): Promise<Decision> =>
        decide({ ...withRules(ask('a', approver)), capabilities });
      expect(await beside('role:x')).toMatchObject({
        verdict: 'deny',
        layer: 'workspace',
        attributes: { 'policy.approvers': ['role:y', 'role:x'] },
      });
      const { caller, agentId, session, pin } = input();
      const reach = (approver: string): boolean =>
        createGate(config({ ...withRules(ask('a', approver)), capabilities })).reach({
          ...{ tool: 'desk:create_ticket', caller, agentId, session, pin },
        }).reachable;
      expect([reach('role:x'), reach('other'), reach('role:y')]).toEqual([false, false, true]);
      expect((await beside('role:y')).approval).toEqual({ approver: 'role:y', rememberable: false });
      expect(await beside('other')).toMatchObject({
        verdict: 'deny',
        attributes: { 'policy.approvers': ['role:y', 'other'] },
      });
    },
  );

  verifies(
    { partial: ['PO-07'] },
    'rules match on arguments; one that cannot be evaluated denies by its own id',
    async () => {
      const when = (text: string, decision: Verdict = 'approval_required'): ConfigParts =>
        withRules(rule(), rule({ id: 'w', when: text, decision }));
      const at = async (text: string, args = {}): Promise<string> =>
        (await decide(when(text), { args: { count: 5, price: 1.5, big: [1, 2], ...args } })).verdict;
      expect(await at('args.count > 3')).toBe('approval_required');
      expect(await at('args.count > 5')).toBe('allow');
      expect(
        await at(
          'args.count + 1 == 6 && args.count % 2 == 1 && args.price * 2 == 3.0 && args.count / 2.0 > 2',
        ),
      ).toBe('approval_required');
      expect(await at('args.count in [5, 6] && 2 in args.big && args.big.all(x, x < 3)')).toBe(
        'approval_required',
      );
      expect(await at('has(args.missing) && args.missing == 1')).toBe('allow');
      expect(
        await at(
          'history.iterations == 1 && history.repeats == 0 && session.lane == "default" && tool.risk == "low" && identity.authorization_mode == "platform_owned"',
        ),
      ).toBe('approval_required');
      const broken = await decide(when('args.missing == 1', 'allow'));
      expect(broken).toMatchObject({ verdict: 'deny', ruleId: 'capability_rule', layer: 'workspace' });
      expect(broken.aliases[0]).toBe('w');
      expect(broken.reasons[0]).toContain('No such key: missing');
      expect(await at('args.count', {})).toBe('deny'); // not a bool
      expect(
        await at('args.xs.all(a, args.xs.all(b, args.xs.all(c, a == b || b == c)))', {
          xs: Array.from({ length: 2000 }, () => 'x'),
        }),
      ).toBe('deny');
    },
  );

  test('an expression that does not compile is refused with rule id and position', () => {
    const load = (when: string): void =>
      void createGate(config(withRules(rule({ id: 'bad-rule', when, tools: ['none:x'] }))));
    const cases: [string, RegExp][] = [
      ['args.count >', /bad-rule, character \d+/],
      ['foo == 1', /character 1 of when: Unknown variable: foo/],
      ['true && unknown.x', /character 9 .*Unknown variable: unknown/],
      ['identity.nope == "x"', /No such key: nope/],
      ['args.s.matches("a+")', /`matches` is not allowed/],
      ['cel.bind(x, 1, x == 1)', /`bind` is not allowed/],
      ['1 + 1', /gives int, not a bool/],
      ['args.a.all(a, args.a.all(b, args.a.all(c, args.a.all(d, true))))', /nested deeper than 3/],
      [`args.a == "${'x'.repeat(5000)}"`, /longer than 4000/],
      [Array.from({ length: 300 }, () => 'true').join(' && '), /./],
    ];
    for (const [when, message] of cases) {
      expect(
        () => {
          load(when);
        },
        when.slice(0, 60),
      ).toThrow(message);
      expect(() => {
        load(when);
      }).toThrow(
        expect.objectContaining({
          code: 'CONFIGURATION_ERROR',
          details: expect.objectContaining({ rule_id: 'bad-rule' }) as unknown,
        }),
      );
    }
  });
});
