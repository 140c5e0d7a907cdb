// A run of two turns with one tool call between them, in this process: no effect begins and no answer is given before every
// step so far is on disk. Once by the loop that the library has for it, once step by step, where each step is an answer.
import { join } from 'node:path';
import { openJournal } from '../floor/journal.mjs';
import { figure, interleave, median, timeEach } from '../lib/measure.mjs';
import { runGovernedAgentLoop } from '../../dist/index.js';
import { CALLER, IO, openRuntime, stubModel, stubTool } from '../lib/runtime.mjs';

async function byLoop(runtime, text) {
  const executeTurnInput = { messages: [{ role: 'user', content: text }] };
  const run = await runGovernedAgentLoop({ runtime, caller: CALLER, io: IO, executeTurnInput });
  if (run.kind !== 'completed' || run.turn_count !== 2) {
    throw new Error(`the run went wrong: ${JSON.stringify(run).slice(0, 3000)}`);
  }
}

async function byStep(runtime, text) {
  const asked = await runtime.executeTurn(CALLER, { messages: [{ role: 'user', content: text }] }, IO);
  if (asked.status !== 'tool_request') throw new Error(`no tool was asked for: ${JSON.stringify(asked)}`);
  const { session_id, tool_call_id } = asked;
  const called = await runtime.callTool(CALLER, { session_id, tool_call_id }, IO);
  const ended = await runtime.executeTurn(CALLER, { session_id, messages: [] }, IO);
  if (called.status !== 'done' || ended.status !== 'reply') {
    throw new Error(`the run went wrong: ${JSON.stringify([asked, called, ended]).slice(0, 3000)}`);
  }
}

// The compiler has seen enough of both after some two thousand runs.
export async function run({ rounds = 15, warmup = 35, runs = 60 } = {}) {
  const ourTool = stubTool();
  const open = await openRuntime({ tool: ourTool.tool });
  const journal = openJournal(join(open.place.root, 'floor.db'));
  try {
    let asked = 0;
    const p50 = async (work) => median(await timeEach(runs, work));
    const { tool } = stubTool();
    const times = await interleave(rounds, warmup, {
      ours: () => p50(() => byLoop(open.runtime, `find ${++asked} ${'x'.repeat(180)}`)),
      steps: () => p50(() => byStep(open.runtime, `find ${++asked} ${'x'.repeat(180)}`)),
      bare: () => p50(() => journal.run(stubModel, tool, `find ${++asked} ${'x'.repeat(180)}`)),
    });
    const all = runs * (rounds + warmup);
    if (ourTool.ran() !== all * 2 || journal.written() !== all * 4)
      throw new Error('not every run did its work');
    return [
      figure('durable-run', 'ms', times.ours, times.bare),
      figure('durable-run-steps', 'ms', times.steps, times.bare),
    ];
  } finally {
    journal.close();
    await open.close();
  }
}
