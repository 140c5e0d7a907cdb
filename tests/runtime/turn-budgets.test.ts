// Turns against the budgets of policy.yaml, through the whole runtime: who is asked, what is answered, what is on record.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Policy } from '../../src/config/types.ts';
import type { TurnFailure } from '../../src/pack/turn/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, configFor, IO, open, place, says } from './rig.ts';
import type { Bench } from './rig.ts';

async function withBudget(loopBudget: Policy['loopBudget']): Promise<Bench> {
  const at = await place();
  const config = configFor(at);
  return open(at, { config: { ...config, policy: { ...config.policy, loopBudget } } });
}

async function refusedTurn(bench: Bench, session_id: string): Promise<TurnFailure> {
  const input = { session_id, messages: [{ role: 'user' as const, content: 'again' }] };
  const said = await bench.runtime.executeTurn(CALLER, input, IO);
  if (!('error' in said)) throw new Error(`the turn was not refused: ${said.status}`);
  return said;
}

async function lastRecord(bench: Bench, id: string): Promise<{ type: string; facts: JsonObject }> {
  const records = await bench.runtime.store.read({ tenant: CALLER.tenant, aggregate: 'session', id });
  const last = records.at(-1);
  if (last?.evidence.state !== 'present') throw new Error('no record');
  return { type: last.header.type, facts: last.evidence.value };
}

const ONE_TURN_USES = 900;

function answers(bench: Bench, count: number): void {
  for (let n = 0; n < count; n++) {
    bench.model.next({ ...says('ok'), usage: { total_tokens: ONE_TURN_USES } });
  }
}

describe('a turn beyond a budget', () => {
  verifies(
    { partial: ['PO-10'] },
    'is refused for iterations: no model is asked, and answer and record name kind, use and limit',
    async () => {
      const bench = await withBudget({ maxIterations: 2 });
      const { session_id } = await bench.turn();
      await bench.turn({ session_id });
      const facts = {
        'policy.limit_kind': 'iterations',
        'policy.limit_layer': 'session',
        'policy.iterations': 2,
        'policy.max_iterations': 2,
      };
      const decision = { decision: 'deny', rule_id: 'loop_budget', layer: 'session' };
      const { error } = await refusedTurn(bench, session_id);
      expect(error).toMatchObject({
        code: 'LIMIT_EXCEEDED',
        message: 'iterations of this session are used up (2 of 2)',
        retryable: false,
        details: { ...facts, decision, provider_call_count: 0 },
      });
      expect(bench.model.inputs).toHaveLength(2);
      const last = await lastRecord(bench, session_id);
      expect(last.type).toBe('turn_refused');
      expect(last.facts).toMatchObject({ code: 'LIMIT_EXCEEDED', details: { ...facts, decision } });
      // A new session has a budget of its own.
      await bench.turn();
    },
  );

  verifies(
    { partial: ['PO-10'] },
    'is refused for tokens: what was used counts, and what a turn may use is reserved before it',
    async () => {
      const bench = await withBudget({ maxTokens: 3000 });
      answers(bench, 3);
      const { session_id } = await bench.turn();
      await bench.turn({ session_id });
      const { error } = await refusedTurn(bench, session_id);
      const facts = {
        'policy.limit_kind': 'tokens',
        'policy.limit_layer': 'session',
        'policy.tokens': 2 * ONE_TURN_USES,
        'policy.max_tokens': 3000,
      };
      const decision = { decision: 'deny', rule_id: 'loop_budget', layer: 'session' };
      expect(error).toMatchObject({
        code: 'LIMIT_EXCEEDED',
        message: 'tokens of this session are used up (1800 of 3000; a turn may use more than is left)',
        details: { ...facts, decision, provider_call_count: 0 },
      });
      expect(bench.model.inputs).toHaveLength(2);
      const last = await lastRecord(bench, session_id);
      expect(last).toMatchObject({ type: 'turn_refused', facts: { details: { ...facts, decision } } });
    },
  );

  test('is not reached by turns that asked no model: what they reserved is given back', async () => {
    const maxTokens = 3000;
    const bench = await withBudget({ maxTokens, perPrincipal: { maxTokens, windowSeconds: 3600 } });
    const missing = new RuntimeError('MISSING_ENVIRONMENT', undefined, { variable: 'KEY' });
    answers(bench, 1);
    const { session_id } = await bench.turn();
    for (let n = 0; n < 3; n++) {
      bench.model.next(missing);
      const { error } = await refusedTurn(bench, session_id);
      expect(error).toMatchObject({ code: 'MISSING_ENVIRONMENT', details: { provider_call_count: 0 } });
    }
    answers(bench, 1);
    await bench.turn({ session_id });
    // One that did ask may have used all that it reserved.
    const lost = new RuntimeError('PROVIDER_TIMEOUT', undefined, { attempts: 1 });
    const other = await withBudget({ maxTokens });
    other.model.next(says('ok'), lost);
    const begun = await other.turn();
    await refusedTurn(other, begun.session_id);
    expect((await refusedTurn(other, begun.session_id)).error.code).toBe('LIMIT_EXCEEDED');
  });

  verifies(
    { partial: ['PO-10'] },
    'is refused for the budget of its principal and of time alike',
    async () => {
      const owned = await withBudget({ perPrincipal: { maxIterations: 1, windowSeconds: 3600 } });
      await owned.turn();
      const input = { messages: [{ role: 'user' as const, content: 'elsewhere' }] };
      expect(await owned.runtime.executeTurn(CALLER, input, IO)).toMatchObject({
        error: {
          code: 'LIMIT_EXCEEDED',
          details: {
            decision: { layer: 'principal' },
            'policy.limit_layer': 'principal',
            'policy.iterations': 1,
            'policy.max_iterations': 1,
          },
        },
      });
      const timed = await withBudget({ maxWallSeconds: 60 });
      const { session_id } = await timed.turn();
      timed.clock.advance(61_000);
      const { error } = await refusedTurn(timed, session_id);
      expect(error.details).toMatchObject({
        'policy.limit_kind': 'wall',
        'policy.wall_seconds': 61,
        'policy.max_wall_seconds': 60,
      });
      expect([owned.model.inputs.length, timed.model.inputs.length]).toEqual([1, 1]);
    },
  );
});
