// Owns the process that opens capability sessions, each of another principal and with a child or an HTTP session of its own,
// and lets them idle. Says one JSON line for each command line it is given.
//   node sessions-process.mjs stdio|http
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { start } from './http.mjs';
import { throughput } from './measure.mjs';
import { CAPABILITIES, makePlace, ofNode, prepare, RAW } from './place.mjs';
import { CALLER, openRuntime, ownIo } from './runtime.mjs';

const IN_FLIGHT = 8;
const MB = 1_048_576;
const IDLE_LIMIT_MS = 30_000;

const isHttp = process.argv[2] === 'http';
const far = isHttp ? await start([RAW, '--http'], { env: {}, found: /^(\d+)/ }) : undefined;
const base = `http://127.0.0.1:${far?.port}`;
const { echo } = CAPABILITIES;
const place = makePlace({
  capabilities: { echo: isHttp ? { ...echo, transport: 'mcp_http' } : echo },
  server: { ...(isHttp ? { transport: 'http', url: `${base}/mcp` } : ofNode(RAW)), era: 'legacy' },
});
const controls = join(place.configs, 'runtime-controls.yaml');
const written = readFileSync(controls, 'utf8');
const short = written.replace(/idle_seconds: \d+/, 'idle_seconds: 1');
if (short === written) throw new Error('runtime-controls.yaml names no idle_seconds');
writeFileSync(controls, short);
await prepare(place);
const open = await openRuntime({ place });
const seen = new Set();
let opened = 0;

/** Of processes that are gone since the list was read, nothing. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** Children but for the one that serves over HTTP, and its sessions. */
async function left() {
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && parentOf(name) === process.pid,
  );
  if (!isHttp) return children.length;
  return children.length - 1 + Number(await (await fetch(`${base}/open`)).text());
}

async function call(at) {
  const caller = { ...CALLER, principal: `os:${at}` };
  const answer = await open.runtime.callCapability(
    caller,
    { tool: 'probe:echo', args: { text: `${at} ${opened}` } },
    ownIo(),
  );
  const { status, capability_session_id: id } = answer;
  if (status !== 'done') throw new Error(`a call is ${status}: ${JSON.stringify(answer).slice(0, 500)}`);
  if (seen.has(id)) throw new Error(`${id} was not opened anew`);
  seen.add(id);
  opened++;
}

const commands = {
  /** Each of the principals opens a session; how many were opened so far. */
  async open({ from, count }) {
    await throughput(count, IN_FLIGHT, (at) => call(from + at));
    return opened;
  },
  /**
   * Resolves when every session has ended at its server, which the idle limit alone makes it do. An HTTP server may miss the
   * word of one that took too long to tell it on a busy machine; more than that is a leak.
   */
  async idle() {
    const most = isHttp ? opened / 100 : 0;
    for (const end = performance.now() + IDLE_LIMIT_MS; (await left()) > 0; await wait(100)) {
      if (performance.now() < end) continue;
      if ((await left()) > most) throw new Error(`${await left()} are left`);
      break;
    }
    return 0;
  },
  /** Connections that HTTP keeps for the next request are given `settleMs` to end. */
  async held({ settleMs }) {
    if (isHttp) await wait(settleMs);
    seen.clear();
    for (let round = 0; round < 4; round++) {
      globalThis.gc();
      await turn();
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    const descriptors = readdirSync('/proc/self/fd').length;
    return { heap: (heapUsed + external) / MB, rss: rss / MB, descriptors };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await commands[command](rest))}\n`);
}
await open.close();
await far?.stop();
