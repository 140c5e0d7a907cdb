// What is left of a thousand capability sessions, each with a child of its own, that were opened, idled out, were opened anew
// and idled out again: memory and descriptors of the process, against the same process before them. No child may be left.
import { fileURLToPath } from 'node:url';
import { figure } from '../lib/measure.mjs';
import { startProcess } from '../lib/process.mjs';

const PROCESS = fileURLToPath(new URL('../lib/sessions-process.mjs', import.meta.url));

export async function run({ rounds = 1, sessions = 1000, warmup = 100 } = {}) {
  // Children and descriptors are counted where the system lists them.
  if (process.platform !== 'linux') return [];
  const measured = startProcess(PROCESS);
  let opened = 0;
  let next = 0;
  const open = async (from, count) => {
    opened += count;
    if ((await measured.ask('open', { from, count })) !== opened)
      throw new Error('not every session was opened');
    await measured.ask('idle');
  };
  const openTwice = async (count) => {
    await open(next, count);
    await open(next, count);
    next += count;
  };
  try {
    await openTwice(warmup);
    const before = [];
    const after = [];
    for (let round = 0; round < rounds; round++) {
      before.push(await measured.ask('held'));
      await openTwice(sessions);
      after.push(await measured.ask('held'));
    }
    const line = (name, unit, key) =>
      figure(
        name,
        unit,
        after.map((one) => one[key]),
        before.map((one) => one[key]),
      );
    return [
      line('sessions-1k', 'MB', 'heap'),
      line('sessions-1k-rss', 'MB', 'rss'),
      line('sessions-1k-descriptors', 'count', 'descriptors'),
    ];
  } finally {
    await measured.end();
  }
}
