// A budget that several calls reach for at once: whoever loses the race is told what a later call would be told.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { createRig } from './rig.ts';
import { sampleConfig } from './sample-config.ts';

describe('the last of a budget', () => {
  verifies(
    ['PO-10'],
    'is given once, and the loser of a race is told the same kind, use and limit as a late caller',
    async () => {
      const rig = createRig({ config: sampleConfig({ policy: { loopBudget: { maxCalls: 2 } } }) });
      const raced = await Promise.all([1, 2, 3].map((n) => rig.call('look', { n })));
      const late = await rig.call('look', { n: 4 });
      const lost = raced.filter((one) => one.status === 'denied');
      expect([lost.length, late.status, rig.effects.length]).toEqual([1, 'denied', 2]);
      expect(lost[0]?.decision.reasons[0]).toContain('used up'); // found by the commit, not by the rule
      for (const one of [...lost, late]) {
        expect(one.decision).toMatchObject({
          verdict: 'deny',
          ruleId: 'loop_budget',
          layer: 'session',
          aliases: ['PG3', 'budget:session:calls'],
        });
        expect(one.decision.attributes).toEqual({
          'policy.limit_kind': 'calls',
          'policy.limit_layer': 'session',
          'policy.calls': 2,
          'policy.max_calls': 2,
        });
      }
    },
  );
});
