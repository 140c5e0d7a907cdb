// One progress notification from a server to its client through the product, against one hop on the bare SDK: from when it
// left to when the client has it. One a call: within a call the product passes on ten a second and no more.
import { fileURLToPath } from 'node:url';
import { spawned, wrapped } from '../lib/gateways.mjs';
import { figure, interleave, median } from '../lib/measure.mjs';
import { DOWNSTREAM, makePlace } from '../lib/place.mjs';

const HOP = fileURLToPath(new URL('../floor/hop.mjs', import.meta.url));
const NANOSECONDS = 1e6;
let calls = 0;

/**
 * Milliseconds that the progress of one call was on its way, by the one monotonic clock of the machine. It is taken where
 * the client's transport has it: the client itself forgets progress that it reads together with the reply.
 */
async function onItsWay({ client, report }, gapMs) {
  const times = [];
  const { transport } = client;
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const at = process.hrtime.bigint();
    if (message.method === 'notifications/progress') {
      times.push(Number(at - BigInt(message.params.message)) / NANOSECONDS);
    }
    deliver(message, extra);
  };
  try {
    // An equal call would be counted as a cycle.
    const given = { gapMs, note: `call ${++calls}` };
    const answer = await client.callTool({ name: report, arguments: given }, { onprogress: () => undefined });
    if (answer.isError === true)
      throw new Error(`${report} answered ${JSON.stringify(answer).slice(0, 500)}`);
    return times;
  } finally {
    transport.onmessage = deliver;
  }
}

/** The bare hop loses what it reads together with the reply; a way that loses much is not measured. */
async function p50(way, count, gapMs) {
  const times = [];
  for (let sent = 0; sent < count; sent++) times.push(...(await onItsWay(way, gapMs)));
  if (times.length < count / 2) throw new Error(`${way.report}: ${times.length} of ${count} arrived`);
  return median(times);
}

export async function run({ rounds = 15, warmup = 3, reports = 100, gapMs = 5 } = {}) {
  const place = makePlace();
  const options = { cwd: place.root, env: place.environment };
  const ways = [];
  try {
    ways.push({ ...(await wrapped(place)), report: 'probe:report' });
    ways.push({ ...(await spawned([HOP, process.execPath, DOWNSTREAM], options)), report: 'report' });
    const [ours, hop] = ways;
    const times = await interleave(rounds, warmup, {
      ours: () => p50(ours, reports, gapMs),
      hop: () => p50(hop, reports, gapMs),
    });
    return [figure('relay', 'ms', times.ours, times.hop)];
  } finally {
    for (const { close } of ways) await close();
    place.dispose();
  }
}
