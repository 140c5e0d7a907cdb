// A governed tools/call from client to tool and back, both over stdio, with two durable commits.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { call, connect } from '../lib/clients.mjs';
import { figure, interleave, median, throughput, timeEach } from '../lib/measure.mjs';
import { MAIN, makePlace, prepare, PROBE } from '../lib/place.mjs';

const GATEWAY = fileURLToPath(new URL('../floor/gateway.mjs', import.meta.url));
const TOOL = 'probe:echo';
const IN_FLIGHT = 16;

const isDenied = (answer) =>
  answer.isError === true && JSON.stringify(answer).includes('The bench asked for a denial');

/** The product; the floor with the same two commits, with these shared, with two plain rows, and without any; each before its own probe. */
async function openVariants(place) {
  const floor = (name, ...flags) =>
    connect([GATEWAY, join(place.root, `${name}.db`), ...flags, '--', process.execPath, PROBE]);
  const options = { cwd: place.workspace, env: place.environment };
  return {
    ours: await connect([MAIN, 'serve', '--tools', 'all', '--log-level', 'error'], options),
    same: await floor('same'),
    shared: await floor('shared', '--shared'),
    plain: await floor('plain', '--plain'),
    pass: await floor('pass', '--pass-through'),
  };
}

// The compiler has seen enough of all after some two thousand calls.
export async function run({ rounds = 15, warmup = 20, calls = 100 } = {}) {
  const place = makePlace();
  await prepare(place);
  const { ours, same, shared, plain, pass } = await openVariants(place);
  try {
    const p50 = async (work) => median(await timeEach(calls, work));
    const single = await interleave(rounds, warmup, {
      ours: () => p50(() => call(ours, TOOL)),
      denied: () => p50(() => call(ours, TOOL, { prefix: 'deny', fits: isDenied })),
      same: () => p50(() => call(same, 'echo')),
      plain: () => p50(() => call(plain, 'echo')),
    });
    const many = await interleave(rounds, Math.min(warmup, 4), {
      ours: () => throughput(calls * 4, IN_FLIGHT, () => call(ours, TOOL)),
      same: () => throughput(calls * 4, IN_FLIGHT, () => call(same, 'echo')),
      shared: () => throughput(calls * 4, IN_FLIGHT, () => call(shared, 'echo')),
      pass: () => throughput(calls * 4, IN_FLIGHT, () => call(pass, 'echo')),
    });
    return [
      figure('governed-call', 'ms', single.ours, single.same),
      figure('governed-call-plain', 'ms', single.ours, single.plain),
      figure('governed-call-deny', 'ms', single.denied, single.ours),
      figure('governed-call-16', 'calls/s', many.ours, many.pass),
      figure('governed-call-16-journal', 'calls/s', many.ours, many.same),
      figure('governed-call-16-shared', 'calls/s', many.ours, many.shared),
      // What the journal alone leaves of the pass-through, with nothing checked.
      figure('governed-call-16-by-hand', 'calls/s', many.shared, many.pass),
    ];
  } finally {
    await Promise.all([ours, same, shared, plain, pass].map((client) => client.close()));
    place.dispose();
  }
}
