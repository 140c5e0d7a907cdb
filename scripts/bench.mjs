// The figures, each against a bare variant that ran in the same interleaved rounds.
//   npm run bench                       all of them, as a table
//   npm run -s bench -- NAME… --json    some of them, one JSON line a figure
//   --quick                             few rounds: shows that a figure works, its numbers mean little
import { parseArgs } from 'node:util';

// The least that still runs every path of a figure.
const QUICK = {
  'governed-call': { rounds: 1, warmup: 0, calls: 8 },
  'durable-run': { rounds: 1, warmup: 0, runs: 3 },
  'turn-growth': { rounds: 1, warmup: 0, early: 4, late: 12, timed: 2 },
  'runs-16': { rounds: 1, warmup: 0, runs: 16 },
  'workflow-step': { rounds: 1, warmup: 0, steps: 4 },
  sleepers: { rounds: 1, warmup: 0, sessions: 8, resumes: 2 },
  wakeups: { rounds: 1, warmup: 0, wakeups: 8 },
  'policy-decision': { rounds: 1, warmup: 0, decisions: 50 },
  'cold-start': { rounds: 1, warmup: 0, idleMs: 0 },
  'list-10k': { rounds: 1, warmup: 0, lists: 3, sessions: 400 },
  'http-front': { rounds: 1, warmup: 0, requests: 8, burst: 128 },
  'sessions-1k': { rounds: 1, warmup: 1, sessions: 2, settleMs: 0 },
  'gateway-stdio': { rounds: 1, warmup: 0, calls: 8, install: false },
  relay: { rounds: 1, warmup: 0, reports: 8 },
  'gateway-http': { rounds: 1, warmup: 0, calls: 8, install: false },
};
const names = Object.keys(QUICK);

const { values: flags, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`unknown figure ${unknown.join(', ')}; there are ${names.join(', ')}`);
  process.exit(2);
}

function print({ figure, absent, value, unit, floor, ratio, rounds }) {
  if (absent !== undefined) return console.log(`${figure.padEnd(26)} ${absent}`);
  const shown = [`${value} ${unit}`.padEnd(16), `floor ${floor}`.padEnd(16), `ratio ${ratio}`.padEnd(14)];
  console.log(`${figure.padEnd(26)} ${shown.join(' ')} ${rounds} rounds`);
}

for (const name of positionals.length > 0 ? positionals : names) {
  const { run } = await import(`../bench/figures/${name}.mjs`);
  for (const line of await run(flags.quick ? QUICK[name] : {})) {
    if (flags.json) console.log(JSON.stringify(line));
    else print(line);
  }
}
