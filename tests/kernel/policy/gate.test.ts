import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../../src/kernel/policy/decision.ts';
import { flip } from '../../../src/kernel/policy/explain.ts';
import { verifies } from '../../e2e/verifies.ts';
import { decide, gateOf, input, layer, rule, USED, withRules } from './fixtures.ts';
import type { ConfigParts } from './fixtures.ts';

const caller = input().caller;

describe('one decision', () => {
  verifies(
    ['PO-13'],
    'the published order names the one reported, and all others are listed in order',
    async () => {
      const parts: ConfigParts = {
        approved: [],
        policy: {
          registry: { allowed: [], denied: ['desk:create_ticket'] },
          loopBudget: { maxIterations: 1 },
          workspace: layer('workspace', 'w', { rules: [rule({ decision: 'deny' })], scopes: [] }),
        },
        intents: { x: { id: 'x', description: '', allowTools: [], approvalRequiredTools: [] } },
      };
      const all = await decide(parts, {
        caller: { ...caller, tenant: '' },
        pin: { state: 'unpinned' },
        args: { url: 'https://evil.test/', path: '/etc/passwd', count: 'x' },
        history: { repeats: 3, session: USED },
      });
      const order = [...new Set(all.others.map(({ ruleId }) => ruleId))];
      expect(order).toEqual([
        'run_precheck',
        'tool_registry',
        'inventory',
        'tool_pin',
        'scope_boundary',
        'url_allowlist',
        'sandbox_path',
        'arg_schema',
        'intent',
        'capability_rule',
        'cycle_detection',
        'loop_budget',
      ]);
      expect(all.ruleId).toBe('run_precheck');
      expect(all.reasons).toHaveLength(all.others.length);
      const cycle = await decide(
        { policy: { registry: { allowed: [], denied: ['desk:create_ticket'] } } },
        { history: { repeats: 9, session: USED }, args: { count: 'x' } },
      );
      expect(cycle.ruleId).toBe('tool_registry');
      // A later denial beats an earlier demand for approval.
      const mixed = await decide(withRules(rule({ decision: 'approval_required' })), {
        history: { repeats: 3, session: USED },
      });
      expect(mixed).toMatchObject({ verdict: 'deny', ruleId: 'cycle_detection' });
      expect(mixed.approval).toBeUndefined();
    },
  );

  verifies(
    { partial: ['PO-06', 'PO-15'] },
    'every decision carries the policy digest, and equal input gives an equal decision',
    async () => {
      const gate = await gateOf();
      for (const made of [input(), input({ tool: 'x' }), input({ args: null as never })]) {
        expect(gate.decide(made).policyDigest).toBe('sha256:policy');
        expect(gate.decide(made)).toEqual(gate.decide(made));
      }
    },
  );

  test('whatever throws inside is a deny with a rule id', async () => {
    const gate = await gateOf(withRules(rule(), rule({ id: 'w', when: 'args.count > 3', decision: 'deny' })));
    const bomb = (allowed: number): unknown => {
      let left = allowed;
      const trap = (): never => {
        throw new RangeError('boom');
      };
      const spend = <T>(value: T): T => (left-- > 0 ? value : trap());
      return new Proxy(
        { title: 'x', count: 2, url: 'https://tickets.internal/' },
        {
          get: (target, key) => spend(Reflect.get(target, key) as unknown),
          ownKeys: (target) => spend(Reflect.ownKeys(target)),
          has: (target, key) => spend(Reflect.has(target, key)),
          getOwnPropertyDescriptor: (target, key) => spend(Reflect.getOwnPropertyDescriptor(target, key)),
        },
      );
    };
    let denied = 0;
    for (let allowed = 0; allowed < 60; allowed++) {
      const decision = gate.decide(input({ args: bomb(allowed) as never }));
      if (decision.verdict === 'deny') denied++;
      else expect(decision.verdict).toBe('allow');
      if (decision.verdict === 'deny')
        expect(['kernel_error', 'arg_schema', 'capability_rule']).toContain(decision.ruleId);
    }
    expect(denied).toBeGreaterThan(10);
    const ring: Record<string, unknown> = {};
    ring['ring'] = ring;
    for (const broken of [
      undefined,
      null,
      1,
      {},
      { tool: 'x' },
      input({ args: ring as never }),
      input({ caller: null as never }),
      input({ history: null as never }),
      input({ paths: null as never }),
      input({ session: null as never }),
      input({ pin: null as never }),
    ]) {
      expect(gate.decide(broken as DecisionInput).verdict).toBe('deny');
    }
    const thrower = new Proxy(
      {},
      {
        get: () => {
          throw new Proxy(
            {},
            {
              get: () => {
                throw new Error('twice');
              },
            },
          ) as Error;
        },
      },
    );
    expect(gate.decide(thrower as DecisionInput)).toMatchObject({ verdict: 'deny', ruleId: 'kernel_error' });
  });

  test('a single cause is named, several are listed', async () => {
    const gate = await gateOf(
      withRules(rule(), rule({ id: 'no', decision: 'deny', when: 'args.count == 2' })),
    );
    expect(flip(gate, input())).toMatchObject({
      verdict: 'deny',
      single: { source: 'no', layer: 'workspace', becomes: 'allow' },
    });
    const two = flip(gate, input({ pin: { state: 'unpinned' } }));
    expect(two.single).toBeUndefined();
    expect(two.causes.map(({ ruleId, becomes }) => [ruleId, becomes])).toEqual([
      ['tool_pin', 'deny'],
      ['capability_rule', 'deny'],
    ]);
    // Without the denying rule nothing matches, and the default denies again: it alone would not help.
    const only = await gateOf(withRules(rule({ id: 'no', decision: 'deny' })));
    expect(flip(only, input()).single).toBeUndefined();
    const byDefault = await gateOf(withRules());
    expect(flip(byDefault, input()).single).toMatchObject({
      source: 'kernel.policy.builtin-default',
      becomes: 'allow',
    });
    expect(flip(await gateOf(), input())).toEqual({ verdict: 'allow', causes: [] });
  });
});
