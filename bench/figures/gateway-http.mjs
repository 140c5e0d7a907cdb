// What a governed gateway adds to a call over HTTP: the product in front of a server over stdio, over the same server's own
// HTTP, against a gateway by hand with the same two commits, and against gateways of others, which govern nothing.
import { join } from 'node:path';
import { connectHttp } from '../lib/clients.mjs';
import { GATEWAY, measureGateways, served } from '../lib/gateways.mjs';
import { DOWNSTREAM, makePlace, ofNode } from '../lib/place.mjs';
import { serveHttp } from '../lib/served.mjs';

async function ours(place) {
  const { port, token, stop } = await serveHttp(place, '--tools', 'all');
  const client = await connectHttp(`http://127.0.0.1:${port}/mcp`, { token });
  return { client, tool: 'probe:echo', close: () => client.close().then(stop) };
}

export async function run({ rounds = 15, warmup = 3, calls = 100, install = true } = {}) {
  const place = makePlace({ server: ofNode(DOWNSTREAM) });
  const journal = join(place.root, 'floor.db');
  const open = async (options) => {
    const overHttp = await served([DOWNSTREAM, '--http'], options);
    const byHand = [GATEWAY, journal, '--http', '--', process.execPath, DOWNSTREAM];
    return { overHttp, byHand: await served(byHand, options), ours: await ours(place), direct: overHttp };
  };
  try {
    return await measureGateways('gateway-http', open, { rounds, warmup, calls, install, place });
  } finally {
    place.dispose();
  }
}
