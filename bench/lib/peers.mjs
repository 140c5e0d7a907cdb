// Owns the npm gateways that we are measured beside: each in one pinned version, installed beside the product when it is
// first needed, never a dependency of it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, connectHttp } from './clients.mjs';
import { DOWNSTREAM, ROOT } from './place.mjs';

const CACHE = join(ROOT, 'node_modules', '.cache', 'bench-peers');
const INSTALL_MS = 180_000;
const START_MS = 20_000;

/** One that is reached over stdio has its server over HTTP, and the other way round. */
const PEERS = {
  'mcp-proxy': {
    version: '6.7.19',
    http: (port) => ['--host', '127.0.0.1', '--port', port, '--', process.execPath, DOWNSTREAM],
  },
  supergateway: {
    version: '4.0.0',
    // In the modern era it starts the server anew for each request.
    mode: 'legacy',
    stdio: (url) => ['--streamableHttp', url, '--logLevel', 'none'],
    http: (port) => [
      ...[
        '--stdio',
        `${process.execPath} ${DOWNSTREAM}`,
        '--outputTransport',
        'streamableHttp',
        '--stateful',
      ],
      ...['--port', port, '--logLevel', 'none'],
    ],
  },
  'mcp-remote': { version: '0.15.1', stdio: (url) => [url, '--transport', 'http-only'] },
};

export const PEER_NAMES = Object.keys(PEERS);

function installed(name, { version, install }) {
  const folder = join(CACHE, `${name}@${version}`);
  const manifest = join(folder, 'node_modules', name, 'package.json');
  if (!install) throw new Error('nothing is installed in a quick run');
  if (!existsSync(manifest)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const quiet = [
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--engine-strict=false',
      '--loglevel=error',
    ];
    const args = ['install', '--prefix', folder, ...quiet, `${name}@${version}`];
    const { stderr, error } = spawnSync('npm', args, { encoding: 'utf8', timeout: INSTALL_MS });
    if (!existsSync(manifest)) throw new Error(error?.message ?? stderr.trim());
  }
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8'));
  return join(folder, 'node_modules', name, typeof bin === 'string' ? bin : bin[name]);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return String(port);
}

/** A gateway that began a moment ago listens a moment later. */
async function patiently(url, mode, child) {
  for (const end = performance.now() + START_MS; ; await wait(100)) {
    try {
      return await connectHttp(url, { mode });
    } catch (thrown) {
      if (child.exitCode !== null || performance.now() > end) throw thrown;
    }
  }
}

async function overHttp({ http: argsOf, mode = 'auto' }, program, options) {
  const port = await freePort();
  const child = spawn(process.execPath, [program, ...argsOf(port)], { ...options, stdio: 'ignore' });
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill('SIGTERM');
    await Promise.race([ended, wait(2_000, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
  };
  try {
    const client = await patiently(`http://127.0.0.1:${port}/mcp`, mode, child);
    return { client, close: () => client.close().then(stop) };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/**
 * A client behind the peer: reached over `front` if it can be, else over the other. `url` is the server over HTTP.
 * Throws for a peer that cannot be had.
 */
export async function openPeer(name, { front, url, install, cwd, env }) {
  const peer = PEERS[name];
  try {
    const program = installed(name, { version: peer.version, install });
    const isHttp = peer[front] === undefined ? front !== 'http' : front === 'http';
    if (isHttp) return await overHttp(peer, program, { cwd, env });
    const client = await connect([program, ...peer.stdio(url)], { cwd, env, mode: 'auto' });
    return { client, close: () => client.close() };
  } catch (thrown) {
    const why = String(thrown.message).split('\n')[0].slice(0, 200);
    throw new Error(`${name} ${peer.version} could not be had: ${why}`, { cause: thrown });
  }
}
