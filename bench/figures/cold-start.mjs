// From the spawn of a server to its first list of tools, and what it then holds in memory while nobody asks.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { figure, interleave } from '../lib/measure.mjs';
import { MAIN, makePlace, prepare } from '../lib/place.mjs';

const BARE = fileURLToPath(new URL('../floor/server.mjs', import.meta.url));
const OURS = [MAIN, 'serve', '--log-level', 'error'];
const HELLO = [
  {
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
  },
  { method: 'notifications/initialized' },
  { id: 2, method: 'tools/list', params: {} },
];

/** Resident kilobytes of a process; undefined where the system does not say it this way. */
function residentMb(pid) {
  if (process.platform !== 'linux') return undefined;
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

async function start(args, options, idleMs) {
  const begun = performance.now();
  const child = spawn(process.execPath, args, { ...options, stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  child.stdin.write(HELLO.map((one) => `${JSON.stringify({ jsonrpc: '2.0', ...one })}\n`).join(''));
  let ms;
  let tools = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const { id, result } = JSON.parse(line);
    if (id !== 2) continue;
    ms = performance.now() - begun;
    tools = result?.tools.length;
    break;
  }
  if (ms === undefined) throw new Error(`${args.join(' ')} ended without an answer`);
  await wait(idleMs);
  const mb = residentMb(child.pid);
  child.stdin.end();
  await ended;
  if (!(tools > 0)) throw new Error(`${args.join(' ')} listed no tools`);
  return { ms, mb, tools };
}

export async function run({ rounds = 15, warmup = 2, idleMs = 300 } = {}) {
  const place = makePlace();
  try {
    await prepare(place);
    const options = { cwd: place.workspace, env: place.environment };
    // The floor registers as many tools as the product was seen to list.
    const { tools } = await start(OURS, options, 0);
    const taken = await interleave(rounds, warmup, {
      ours: () => start(OURS, options, idleMs),
      bare: () => start([BARE, String(tools)], options, idleMs),
    });
    const of = (name, key) => taken[name].map((one) => one[key]);
    const time = figure('cold-start', 'ms', of('ours', 'ms'), of('bare', 'ms'));
    if (of('ours', 'mb').includes(undefined)) return [time];
    return [time, figure('cold-start-rss', 'MB', of('ours', 'mb'), of('bare', 'mb'))];
  } finally {
    place.dispose();
  }
}
