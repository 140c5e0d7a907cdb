// Managed runs of two turns with one tool call between them, whose model takes its time as models do: 16 in flight against
// one after the other.
import { setTimeout as wait } from 'node:timers/promises';
import { figure, interleave, throughput } from '../lib/measure.mjs';
import { CALLER, ownIo, openRuntime, stubModel, stubTool } from '../lib/runtime.mjs';

const IN_FLIGHT = 16;
const MODEL_MS = 40;

async function slowModel(messages) {
  await wait(MODEL_MS);
  return stubModel(messages);
}

export async function run({ rounds = 8, warmup = 2, runs = 48 } = {}) {
  const { tool, ran } = stubTool();
  const open = await openRuntime({ model: slowModel, tool });
  try {
    let asked = 0;
    const one = async () => {
      const content = `find ${++asked} ${'x'.repeat(180)}`;
      const input = { execute_turn_input: { messages: [{ role: 'user', content }] } };
      const { kind, turn_count: turns } = await open.runtime.startSession(CALLER, input, ownIo());
      if (kind !== 'completed' || turns !== 2) throw new Error(`the run is ${kind} after ${turns} turns`);
    };
    const rates = await interleave(rounds, warmup, {
      many: () => throughput(runs, IN_FLIGHT, one),
      alone: () => throughput(Math.ceil(runs / 4), 1, one),
    });
    if (ran() !== asked || asked === 0) throw new Error('not every run did its work');
    return [figure('runs-16', 'calls/s', rates.many, rates.alone)];
  } finally {
    await open.close();
  }
}
