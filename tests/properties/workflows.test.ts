// Any order of branches and any crash gives the outcome of the straight run. GRAPHS and SEED choose how many and which:
//   GRAPHS=5000 SEED=1 npx vitest run -c configs/tools/vitest.config.ts tests/properties/workflows.test.ts
// A failure is shrunk and kept in kept.json, and what is kept there is tried first from then on.
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Commit, Store } from '../../src/store/contract.ts';
import { graphSpec } from './graphs.ts';
import type { GraphSpec } from './graphs.ts';
import { checkTold, live, outcomeOf } from './world.ts';
import type { Fate, Sabotage } from './world.ts';

const GRAPHS = Number(process.env.GRAPHS ?? '300');
const SEED = Number(process.env.SEED ?? '20261121');
const STRAIGHT: Fate = { crashes: [], choices: [] };

const fate: fc.Arbitrary<Fate> = fc.record({
  crashes: fc.array(fc.record({ after: fc.nat({ max: 12 }), isWritten: fc.boolean() }), { maxLength: 4 }),
  choices: fc.array(fc.nat({ max: 7 }), { maxLength: 40 }),
});

async function isSame(graph: GraphSpec, one: Fate, sabotage?: Sabotage): Promise<void> {
  const straight = await live(graph, STRAIGHT, sabotage);
  checkTold(graph, straight);
  const other = await live(graph, one, sabotage);
  checkTold(graph, other);
  expect(other.result.kind).toBe(straight.result.kind);
  // How far the others came when one failed is a matter of order, unless they go on.
  const isOrdered = straight.result.kind === 'error' && graph.policy !== 'continue';
  if (!isOrdered) expect(outcomeOf(other)).toEqual(outcomeOf(straight));
}

const KEPT = new URL('./kept.json', import.meta.url);
type Case = [GraphSpec, Fate];

function keptCases(): Case[] {
  return JSON.parse(readFileSync(KEPT, 'utf8')) as Case[];
}

function keep(found: Case): void {
  writeFileSync(KEPT, `${JSON.stringify([...keptCases(), found], null, 2)}\n`);
}

/** The smallest graph that fails, with its seed; nothing when none does. */
async function counterexample(runs: number, sabotage?: Sabotage): Promise<string | undefined> {
  const property = fc.asyncProperty(graphSpec, fate, (graph, one) => isSame(graph, one, sabotage));
  const examples = sabotage === undefined ? keptCases() : [];
  const run = await fc.check(property, { seed: SEED, numRuns: runs + examples.length, examples });
  if (!run.failed) return undefined;
  const isNew = !examples.some((one) => JSON.stringify(one) === JSON.stringify(run.counterexample));
  if (sabotage === undefined && run.counterexample !== null && isNew) keep(run.counterexample);
  return `SEED=${run.seed} after ${run.numRuns} graphs: ${fc.stringify(run.counterexample)}\n${String(run.errorInstance)}`;
}

describe('a workflow', () => {
  test(`ends the same in any order and over any crash (SEED=${SEED}, ${GRAPHS} graphs)`, async () => {
    expect(await counterexample(GRAPHS)).toBeUndefined();
  }, 3_600_000);

  test('a join that drops one input is found', async () => {
    const found = await counterexample(300, {
      sessions(sessions) {
        const create = sessions.create;
        sessions.create = (caller, input) => {
          const messages = structuredClone(input.executeTurnInput.messages);
          if (messages.length > 1) {
            messages[0]!.content = messages[0]!.content.replace(
              /(n\d": \{[^}]*\},[^]*)"n\d": \{[^}]*\}/,
              '$1',
            );
          }
          return create(caller, { ...input, executeTurnInput: { ...input.executeTurnInput, messages } });
        };
      },
    });
    expect(found).toMatch(/was not told of/);
  }, 120_000);

  test('a lost wake-up is found', async () => {
    let timers = 0;
    const forgetful = (store: Store): Store => ({
      ...store,
      commit(commit: Commit) {
        const kept = (commit.timers ?? []).filter(() => ++timers % 5 !== 0);
        return store.commit({ ...commit, timers: kept });
      },
    });
    expect(await counterexample(300, { store: forgetful })).toMatch(/no timer will come/);
  }, 120_000);

  test('a condition that is not asked is found', async () => {
    const heedless = (store: Store): Store => ({
      ...store,
      async unseal(chain, seq) {
        const found = structuredClone(await store.unseal(chain, seq));
        const { definition } = (found.state === 'present' ? found.value : {}) as {
          definition?: { nodes: { when?: string }[] };
        };
        for (const one of definition?.nodes ?? []) delete one.when;
        return found;
      },
    });
    expect(await counterexample(300, { store: heedless })).toMatch(/expected (?:skipped|completed)/);
  }, 120_000);
});
