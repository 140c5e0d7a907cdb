// One step of a workflow, from ready over started to completed with its output, against one bare commit of the same round.
import { join } from 'node:path';
import { openChain } from '../floor/chain.mjs';
import { openEngine } from '../lib/engine.mjs';
import { figure, interleave, median, timeEach } from '../lib/measure.mjs';
import { CALLER, IO } from '../lib/runtime.mjs';

function chainOf(steps) {
  const input = { messages: [{ role: 'user', content: `do it ${'x'.repeat(180)}` }] };
  const nodes = Array.from({ length: steps }, (_, at) => ({
    id: `n${at}`,
    execute_turn_input: input,
    ...(at === 0 ? {} : { depends_on: [`n${at - 1}`] }),
  }));
  return { nodes };
}

export async function run({ rounds = 15, warmup = 4, steps = 50 } = {}) {
  const engine = await openEngine();
  const chain = openChain(join(engine.place.root, 'floor.db'));
  try {
    const workflow = chainOf(steps);
    const body = { node_id: 'n1', said: 'x'.repeat(180) };
    const times = await interleave(rounds, warmup, {
      ours: async () => {
        const begun = performance.now();
        const { kind } = await engine.workflows.start(CALLER, { workflow }, IO);
        if (kind !== 'completed') throw new Error(`the workflow ended as ${kind}`);
        return (performance.now() - begun) / steps;
      },
      bare: async () => median(await timeEach(steps, () => chain.append('floor', 'step', body))),
    });
    const all = steps * (rounds + warmup);
    if (engine.ran() !== all || chain.written() !== all) throw new Error('not every step was made');
    return [figure('workflow-step', 'ms', times.ours, times.bare)];
  } finally {
    chain.close();
    await engine.close();
  }
}
