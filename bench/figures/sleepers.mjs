// What a process holds in memory for ten thousand sessions that it brought to where they wait for a person, against the
// same process before them; and what it costs to resume one of them, against reading its chain.
import { fileURLToPath } from 'node:url';
import { figure } from '../lib/measure.mjs';
import { startProcess } from '../lib/process.mjs';

const PROCESS = fileURLToPath(new URL('../lib/sleepers-process.mjs', import.meta.url));

export async function run({ rounds = 15, sessions = 10_000, resumes = 40 } = {}) {
  const process = startProcess(PROCESS);
  try {
    const before = await process.ask('memory');
    if ((await process.ask('sleep', { sessions })) !== sessions) throw new Error('not every session sleeps');
    const after = await process.ask('memory');
    const times = [];
    for (let round = 0; round < rounds; round++) times.push(await process.ask('resume', { resumes }));
    const ours = times.map((one) => one.ours);
    const floor = times.map((one) => one.floor);
    return [figure('sleepers', 'MB', [after], [before]), figure('sleepers-resume', 'ms', ours, floor)];
  } finally {
    await process.end();
  }
}
