// Owns the ways to one echo that gateways are measured on: the direct ones, those of others, and what each adds to its
// direct one. A way is a connected client, the name that the tool has behind it, and how it is closed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { call, connect, connectHttp } from './clients.mjs';
import { start } from './http.mjs';
import { added, interleave, median, timeEach } from './measure.mjs';
import { openPeer, PEER_NAMES } from './peers.mjs';
import { DOWNSTREAM, MAIN, ROOT } from './place.mjs';

export const GATEWAY = join(ROOT, 'bench/floor/gateway.mjs');

const closing = (client) => () => client.close();

/** A way over HTTP to a server that prints its port. */
export async function served(args, { cwd, env }) {
  const { port, stop } = await start(args, { cwd, env, found: /^(\d+)/ });
  const url = `http://127.0.0.1:${port}/mcp`;
  const client = await connectHttp(url);
  return { client, tool: 'echo', url, close: () => client.close().then(stop) };
}

/** A way over stdio to `node <args>`. */
export async function spawned(args, options) {
  const client = await connect(args, options);
  return { client, tool: 'echo', close: closing(client) };
}

/** A way through the product in front of our downstream, as a user starts it, with no configuration file. */
export async function wrapped({ root, environment }) {
  const flags = ['--name', 'probe', '--trust-annotations', '--log-level', 'error'];
  const args = [MAIN, 'wrap', ...flags, '--', process.execPath, DOWNSTREAM];
  const cwd = join(root, 'wrapped');
  mkdirSync(cwd);
  const client = await connect(args, { cwd, env: environment });
  return { client, tool: 'probe:echo', close: closing(client) };
}

/** Those that can be had, with the lines of those that cannot. */
async function openPeers(name, options) {
  const ways = {};
  const absent = [];
  for (const peer of PEER_NAMES) {
    try {
      ways[peer] = { tool: 'echo', ...(await openPeer(peer, options)) };
    } catch (thrown) {
      absent.push({ figure: `${name}-${peer}`, absent: thrown.message });
    }
  }
  return { ways, absent };
}

/**
 * What `ours` adds to `direct` against what the gateway by hand and each peer add. Every peer has HTTP on one of its two
 * sides, so its direct way is the one over HTTP, whichever is in front: no reading is kinder to it.
 */
export async function measureGateways(name, open, { rounds, warmup, calls, install, place }) {
  const options = { cwd: place.root, env: place.environment };
  const opened = await open(options);
  const { overHttp } = opened;
  const front = name.replace('gateway-', '');
  const peers = await openPeers(name, { ...options, front, url: overHttp.url, install });
  const ways = { ...opened, ...peers.ways };
  try {
    const p50 = async ({ client, tool }) => median(await timeEach(calls, () => call(client, tool)));
    const works = Object.entries(ways).map(([way, its]) => [way, () => p50(its)]);
    const times = await interleave(rounds, warmup, Object.fromEntries(works));
    const over = (way, direct) => ({ values: times[way], direct: times[direct] });
    const ours = over('ours', 'direct');
    const beside = Object.keys(peers.ways).map((peer) =>
      added(`${name}-${peer}`, 'ms', ours, over(peer, 'overHttp')),
    );
    return [added(name, 'ms', ours, over('byHand', 'direct')), ...beside, ...peers.absent];
  } finally {
    // Peers first: some have the server over HTTP behind them. One way may go by two names.
    for (const { close } of new Set(Object.values(ways).reverse())) await close();
  }
}
