// What a governed gateway adds to a call over stdio: `wrap` in front of a server, over the same server alone, against a
// gateway by hand with the same two commits, and against gateways of others, which govern nothing.
import { join } from 'node:path';
import { GATEWAY, measureGateways, served, spawned, wrapped } from '../lib/gateways.mjs';
import { DOWNSTREAM, makePlace } from '../lib/place.mjs';

export async function run({ rounds = 15, warmup = 3, calls = 100, install = true } = {}) {
  const place = makePlace();
  const journal = join(place.root, 'floor.db');
  const open = async (options) => ({
    direct: await spawned([DOWNSTREAM], options),
    overHttp: await served([DOWNSTREAM, '--http'], options),
    byHand: await spawned([GATEWAY, journal, '--', process.execPath, DOWNSTREAM], options),
    ours: await wrapped(place),
  });
  try {
    return await measureGateways('gateway-stdio', open, { rounds, warmup, calls, install, place });
  } finally {
    place.dispose();
  }
}
