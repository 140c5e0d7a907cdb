// What a process holds in memory for ten thousand sessions that it brought to where they wait for a person, against the
// same process before them; and what it costs to resume one of them, against reading its chain.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { figure } from '../lib/measure.mjs';

const PROCESS = fileURLToPath(new URL('../lib/sleepers-process.mjs', import.meta.url));

function startProcess() {
  const child = fork(PROCESS, [], { execArgv: ['--expose-gc'], stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(command, more = {}) {
      child.stdin.write(`${JSON.stringify({ command, ...more })}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the process ended at ${command}`);
      return JSON.parse(value);
    },
    async end() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

export async function run({ rounds = 15, sessions = 10_000, resumes = 40 } = {}) {
  const process = startProcess();
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
