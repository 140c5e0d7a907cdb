// A governed tools/call from client to tool and back, both over stdio, with two durable commits.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { call, connect } from '../lib/clients.mjs';
import { figure, interleave, median, throughput, timeEach } from '../lib/measure.mjs';
import { MAIN, makePlace, prepare, PROBE } from '../lib/place.mjs';
import { isTold, processorTime } from '../lib/processor.mjs';

const GATEWAY = fileURLToPath(new URL('../floor/gateway.mjs', import.meta.url));
const TOOL = 'probe:echo';
const IN_FLIGHT = 16;

const isDenied = (answer) =>
  answer.isError === true && JSON.stringify(answer).includes('The bench asked for a denial');

/** The product; the floor with the same two commits, with these shared, in a file, with two plain rows, and without any; each before its own probe. */
async function openVariants(place) {
  const floor = (name, ...flags) =>
    connect([GATEWAY, join(place.root, `${name}.db`), ...flags, '--', process.execPath, PROBE]);
  const options = { cwd: place.workspace, env: place.environment };
  return {
    ours: await connect([MAIN, 'serve', '--tools', 'all', '--log-level', 'error'], options),
    same: await floor('same'),
    shared: await floor('shared', '--shared'),
    file: await floor('file', '--file'),
    plain: await floor('plain', '--plain'),
    pass: await floor('pass', '--pass-through'),
  };
}

/** Calls a second with sixteen in flight, and the processor time of each in all processes together. */
async function together(client, tool, count) {
  let rate = 0;
  const work = async () => {
    rate = await throughput(count, IN_FLIGHT, () => call(client, tool));
  };
  const spent = isTold ? await processorTime(client, work) : await work();
  return { rate, processor: spent === undefined ? undefined : spent / count };
}

function inFlight(many) {
  const of = (name, key) => many[name].map((one) => one[key]);
  const rates = (label, ours, floor) => figure(label, 'calls/s', of(ours, 'rate'), of(floor, 'rate'));
  const times = (label, ours, floor) => figure(label, 'us', of(ours, 'processor'), of(floor, 'processor'));
  return [
    rates('governed-call-16', 'ours', 'pass'),
    rates('governed-call-16-journal', 'ours', 'same'),
    rates('governed-call-16-shared', 'ours', 'shared'),
    // What the journal alone leaves of the pass-through, with nothing checked.
    rates('governed-call-16-by-hand', 'shared', 'pass'),
    // And what the same bytes leave of it without an engine.
    rates('governed-call-16-file', 'file', 'pass'),
    // No division of work among threads is quicker than this, divided by the processors.
    ...(isTold
      ? [
          times('governed-call-16-processor', 'ours', 'pass'),
          times('governed-call-16-processor-by-hand', 'shared', 'pass'),
          times('governed-call-16-processor-file', 'file', 'pass'),
        ]
      : []),
  ];
}

// The compiler has seen enough of all after some two thousand calls.
export async function run({ rounds = 15, warmup = 20, calls = 100 } = {}) {
  const place = makePlace();
  await prepare(place);
  const { ours, same, shared, file, plain, pass } = await openVariants(place);
  try {
    const p50 = async (work) => median(await timeEach(calls, work));
    const single = await interleave(rounds, warmup, {
      ours: () => p50(() => call(ours, TOOL)),
      denied: () => p50(() => call(ours, TOOL, { prefix: 'deny', fits: isDenied })),
      same: () => p50(() => call(same, 'echo')),
      plain: () => p50(() => call(plain, 'echo')),
    });
    const many = await interleave(rounds, Math.min(warmup, 4), {
      ours: () => together(ours, TOOL, calls * 4),
      same: () => together(same, 'echo', calls * 4),
      shared: () => together(shared, 'echo', calls * 4),
      file: () => together(file, 'echo', calls * 4),
      pass: () => together(pass, 'echo', calls * 4),
    });
    return [
      figure('governed-call', 'ms', single.ours, single.same),
      figure('governed-call-plain', 'ms', single.ours, single.plain),
      figure('governed-call-deny', 'ms', single.denied, single.ours),
      ...inFlight(many),
    ];
  } finally {
    await Promise.all([ours, same, shared, file, plain, pass].map((client) => client.close()));
    place.dispose();
  }
}
