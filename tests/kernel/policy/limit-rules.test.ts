import { describe, expect } from 'vitest';
import type { DecisionInput } from '../../../src/kernel/policy/decision.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, decide, USED } from './fixtures.ts';

describe('limits', () => {
  verifies(
    { partial: ['PO-14'] },
    'with three repeats allowed the fourth identical call is denied',
    async () => {
      for (const [repeats, verdict] of [
        [0, 'allow'],
        [2, 'allow'],
        [3, 'deny'],
        [99, 'deny'],
        [NaN, 'deny'],
        [-1, 'deny'],
        [Infinity, 'deny'],
      ] as const) {
        const decision = await decide({}, { history: { repeats, session: USED } });
        expect(decision.verdict, String(repeats)).toBe(verdict);
      }
      const fourth = await decide({}, { history: { repeats: 3, session: USED } });
      expect(fourth).toMatchObject({
        ruleId: 'cycle_detection',
        attributes: { 'policy.repeats': 3, 'policy.max_repeats': 3 },
      });
    },
  );

  verifies(
    ['PO-10'],
    'each kind of budget of session, principal and tenant denies with measure and limit',
    async () => {
      const budget = {
        maxIterations: 5,
        maxTokens: 5,
        maxCalls: 5,
        maxCostUsd: 5,
        maxEffects: 5,
        maxWallSeconds: 5,
      };
      const kinds = {
        iterations: 'iterations',
        tokens: 'tokens',
        calls: 'calls',
        costUsd: 'cost',
        effects: 'effects',
        wallSeconds: 'wall',
      } as const;
      const none = { iterations: 0, tokens: 0, calls: 0, costUsd: 0, effects: 0, wallSeconds: 0 };
      const loopBudget = {
        ...budget,
        perPrincipal: { ...budget, windowSeconds: 60 },
        perTenant: { ...budget, windowSeconds: 60 },
      };
      for (const owner of ['session', 'principal', 'tenant'] as const) {
        for (const [key, kind] of Object.entries(kinds)) {
          for (const [used, verdict] of [
            [4, 'allow'],
            [5, 'deny'],
            [NaN, 'deny'],
          ] as const) {
            const history = {
              repeats: 0,
              session: none,
              principal: none,
              tenant: none,
              [owner]: { ...none, [key]: used },
            };
            const decision = await decide({ policy: { loopBudget } }, { history });
            expect(decision.verdict, `${owner} ${key} ${used}`).toBe(verdict);
            // Rules see the history first; an unusable number there is a broken rule, never an allow.
            if (used === 5) {
              expect(decision).toMatchObject({
                ruleId: 'loop_budget',
                layer: owner,
                attributes: { 'policy.limit_kind': kind },
              });
              expect(decision.aliases[0]).toBe('PG3');
            }
          }
        }
      }
      const tokens = await decide(
        { policy: { loopBudget } },
        { history: { repeats: 0, session: { ...none, tokens: 7 }, principal: none, tenant: none } },
      );
      expect(tokens.attributes).toMatchObject({ 'policy.tokens': 7, 'policy.max_tokens': 5 });
      const unknown = await decide({ policy: { loopBudget } }, { history: { repeats: 0, session: none } });
      expect(unknown.ruleId).toBe('loop_budget');
      const read = await decide(
        { capabilities: [capability({ mode: 'read' })], policy: { loopBudget: { maxEffects: 1 } } },
        { history: { repeats: 0, session: { ...none, effects: 9 } } },
      );
      expect(read.verdict).toBe('allow');
    },
  );

  verifies(['PO-10'], 'session limits only tighten, and one that is no number denies', async () => {
    const at = async (limits: DecisionInput['limits']): Promise<string> =>
      (
        await decide(
          {},
          {
            ...(limits === undefined ? {} : { limits }),
            history: { repeats: 0, session: { ...USED, iterations: 4 } },
          },
        )
      ).verdict;
    expect(await at({ maxIterations: 4 })).toBe('deny');
    expect(await at({ maxIterations: 5 })).toBe('allow');
    for (const bad of [NaN, Infinity, -1, null as unknown as number])
      expect(await at({ maxCalls: bad }), String(bad)).toBe('deny');
    const loose = await decide(
      {},
      { limits: { maxIterations: 1000 }, history: { repeats: 0, session: { ...USED, iterations: 10 } } },
    );
    expect(loose.verdict).toBe('deny');
  });
});
