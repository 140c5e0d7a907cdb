// A run of two turns with one tool call between them, in this process: no effect begins and no answer is given before every
// step so far is on disk. Once by the loop that the library has for it, once as a session that outlives its request, with its
// admission, its hold and its end on record, once step by step, where each step is an answer. The readable copies of the
// sessions are made meanwhile, fifty a second. The floor of the session keeps its input before it begins, as the session does.
import { join } from 'node:path';
import { openJournal } from '../floor/journal.mjs';
import { figure, interleave, median, timeEach } from '../lib/measure.mjs';
import { runGovernedAgentLoop, startGovernedAgentSession } from '../../dist/index.js';
import { CALLER, IO, openRuntime, stubModel, stubTool } from '../lib/runtime.mjs';

async function byLoop(runtime, text) {
  const executeTurnInput = { messages: [{ role: 'user', content: text }] };
  const run = await runGovernedAgentLoop({ runtime, caller: CALLER, io: IO, executeTurnInput });
  if (run.kind !== 'completed' || run.turn_count !== 2) {
    throw new Error(`the run went wrong: ${JSON.stringify(run).slice(0, 3000)}`);
  }
}

async function bySession(runtime, text) {
  const executeTurnInput = { messages: [{ role: 'user', content: text }] };
  const run = await startGovernedAgentSession({ runtime, caller: CALLER, executeTurnInput });
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

// The compiler has seen enough of each after some two thousand runs.
export async function run({ rounds = 15, warmup = 35, runs = 60 } = {}) {
  const ourTool = stubTool();
  const open = await openRuntime({ tool: ourTool.tool });
  const journal = openJournal(join(open.place.root, 'floor.db'));
  try {
    let asked = 0;
    const p50 = async (work) => median(await timeEach(runs, work));
    const { tool } = stubTool();
    const text = () => `find ${++asked} ${'x'.repeat(180)}`;
    const times = await interleave(rounds, warmup, {
      ours: () => p50(() => byLoop(open.runtime, text())),
      steps: () => p50(() => byStep(open.runtime, text())),
      bare: () => p50(() => journal.run(stubModel, tool, text())),
    });
    // After the others, so that its copies are not made beside them.
    const sessions = await interleave(rounds, warmup, {
      ours: () => p50(() => bySession(open.runtime, text())),
      bare: () => p50(() => journal.session(stubModel, tool, text())),
    });
    const all = runs * (rounds + warmup);
    if (ourTool.ran() !== all * 3 || journal.written() !== all * 9)
      throw new Error('not every run did its work');
    return [
      figure('durable-run', 'ms', times.ours, times.bare),
      figure('durable-run-session', 'ms', sessions.ours, sessions.bare),
      figure('durable-run-steps', 'ms', times.steps, times.bare),
    ];
  } finally {
    journal.close();
    await open.close();
  }
}
