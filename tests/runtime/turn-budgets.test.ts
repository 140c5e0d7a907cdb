// Turns against the budgets of policy.yaml, through the whole runtime: who is asked, what is answered, what is on record.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Policy } from '../../src/config/types.ts';
import type { TurnFailure } from '../../src/pack/turn/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, configFor, IO, open, place, says } from './rig.ts';
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

interface Told {
  type: string;
  facts: JsonObject;
}

async function recordsOf(bench: Bench, id: string): Promise<Told[]> {
  const records = await bench.runtime.store.read({ tenant: CALLER.tenant, aggregate: 'session', id });
  return records.map(({ header, evidence }) => {
    if (evidence.state !== 'present') throw new Error('no record');
    return { type: header.type, facts: evidence.value };
  });
}

async function lastRecord(bench: Bench, id: string): Promise<Told> {
  const last = (await recordsOf(bench, id)).at(-1);
  if (last === undefined) throw new Error('no record');
  return last;
}

/** A host that runs what is asked for until it is refused another turn. */
async function hosted(bench: Bench): Promise<{ run_id: string; session_id: string }> {
  const { run_id, session_id, tool_call_id = '' } = await bench.turn();
  await bench.run({ session_id, tool_call_id });
  const next = await bench.turn({ session_id, messages: [] });
  await bench.run({ session_id, tool_call_id: next.tool_call_id ?? '' });
  await bench.runtime.executeTurn(CALLER, { session_id, messages: [] }, IO);
  return { run_id, session_id };
}

/** The same, driven by the runtime. */
async function managed({ runtime }: Bench): Promise<{ run_id: string; session_id: string }> {
  const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
  const { run_id, session_id } = await runtime.managed.start(CALLER, { executeTurnInput }, {}, IO);
  return { run_id, session_id };
}

const ONE_TURN_USES = 900;

function answers(bench: Bench, count: number): void {
  for (let n = 0; n < count; n++) {
    bench.model.next({ ...says('ok'), usage: { total_tokens: ONE_TURN_USES } });
  }
}

describe('a turn beyond a budget', () => {
  verifies(
    ['PO-10'],
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
    ['PO-10'],
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

  verifies(['PO-10'], 'is refused for the budget of its principal and of time alike', async () => {
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
  });

  verifies(
    ['PO-10'],
    'ends the run with the reason loop_budget, of a host and of the runtime alike, and the deny is on record',
    async () => {
      const kinds = {
        iterations: [{ maxIterations: 2 }, { 'policy.iterations': 2, 'policy.max_iterations': 2 }],
        tokens: [{ maxTokens: 3000 }, { 'policy.tokens': 2 * ONE_TURN_USES, 'policy.max_tokens': 3000 }],
      } as const;
      for (const [kind, [budget, measured]] of Object.entries(kinds)) {
        for (const who of ['host', 'runtime'] as const) {
          const bench = await withBudget(budget);
          for (let n = 0; n < 4; n++) {
            bench.model.next({ ...asks('look', { n }), usage: { total_tokens: ONE_TURN_USES } });
          }
          const { run_id, session_id } = await (who === 'host' ? hosted(bench) : managed(bench));
          expect(bench.model.inputs).toHaveLength(2);
          const { state } = await bench.runtime.inspect(CALLER, 'run', run_id);
          expect(state, `${kind} of the ${who}`).toMatchObject({
            ...{ status: 'failed', failure_mode: 'budget', terminal_reason: 'loop_budget' },
          });
          const denials = (await recordsOf(bench, session_id)).filter(({ type }) => type === 'turn_refused');
          expect(denials).toMatchObject([
            {
              facts: {
                run_id,
                details: {
                  ...{ 'policy.limit_kind': kind, ...measured },
                  decision: { decision: 'deny', rule_id: 'loop_budget', policy_digest: 'sha256:policy' },
                },
              },
            },
          ]);
        }
      }
    },
  );

  test('ends the run for good: what a later window allows is a new run', async () => {
    const bench = await withBudget({ perPrincipal: { maxIterations: 1, windowSeconds: 60 } });
    bench.model.next(asks('look', { n: 1 }));
    const { run_id, session_id } = await bench.turn();
    const refused = await refusedTurn(bench, session_id);
    expect(refused).toMatchObject({ run_id, error: { code: 'LIMIT_EXCEEDED' } });
    bench.clock.advance(61_000);
    const later = await bench.turn({ session_id });
    expect(later.run_id).not.toBe(run_id);
    const { state } = await bench.runtime.inspect(CALLER, 'run', run_id);
    expect(state).toMatchObject({ status: 'failed', terminal_reason: 'loop_budget' });
    const next = await bench.runtime.inspect(CALLER, 'run', later.run_id);
    expect(next.state).toMatchObject({ status: 'success' });
  });
});
