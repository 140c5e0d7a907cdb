// Kills a serving host again and again, while its servers start, work, ask or rest, and counts the children that outlive
// it. A child is known by its command line, which names a directory of this run only.
import { spawn } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { effectsIn, MAIN, openPlaces } from '../../matrix/place.mjs';
import { relayChanges } from '../../matrix/relay-place.mjs';
import { createRandom } from '../schedule.mjs';

const RELAY = fileURLToPath(new URL('../../matrix/relay-server.mjs', import.meta.url));

/** When the kill comes. */
const WINDOWS = ['starting', 'in_call', 'in_question', 'at_rest'];
const SERVERS = ['one', 'two', 'three'];
const LONGEST_WAIT_MS = 60_000;
/** A child that ends with its input needs a moment; one that is still there afterwards is left behind. */
const GRACE_MS = 20_000;
const PLANTED_GRACE_MS = 1000;
const LONGEST_START_MS = 300;

export const PLANTS = { lingers: true };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Processes that have not ended and name the directory. */
async function childrenOf(directory, host) {
  const found = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || pid === host) continue;
    const [command, stat] = await Promise.all(
      ['cmdline', 'stat'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    const isDead = stat[stat.lastIndexOf(')') + 2] === 'Z';
    if (command.includes(directory) && !command.includes(MAIN) && !isDead) found.push(pid);
  }
  return found;
}

/** Every server names the directory of this run; the planted ones start a child that does not end with them. */
function changes(plant) {
  const ways = SERVERS.map((name) => ({ name, transport: 'stdio', era: 'legacy' }));
  return (sandbox) => {
    const args = (name) => [RELAY, '--calls', join(sandbox, name), ...(plant === '' ? [] : [`--${plant}`])];
    const servers = SERVERS.map((name) => [
      name,
      { transport: 'stdio', command: 'node', args: args(name), era: 'legacy' },
    ]);
    const all = relayChanges({}, { ways })(sandbox);
    return { ...all, 'servers.yaml': () => ({ servers: Object.fromEntries(servers) }) };
  };
}

/** A host as a client starts it, spoken to in the older protocol without any library. */
function startHost(place) {
  const where = ['--workspace', place.workspace, '--config', place.config];
  const child = spawn(process.execPath, [MAIN, 'serve', '--tools', 'gateway', ...where], {
    env: place.env,
    cwd: place.workspace,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const heard = [];
  let wake = () => undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    heard.push(JSON.parse(line));
    wake();
  });
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const until = async (what, look) => {
    for (const end = Date.now() + LONGEST_WAIT_MS; Date.now() < end;) {
      if (await look(heard)) return;
      await Promise.race([pause(20), new Promise((resolve) => (wake = resolve))]);
    }
    throw new Error(`did not happen: ${what}: ${JSON.stringify(heard).slice(-500)}`);
  };
  return { pid: child.pid, send, until, kill: () => (child.kill('SIGKILL'), ended) };
}

function begin({ send }) {
  const clientInfo = { name: 'faults', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo };
  send({ id: 0, method: 'initialize', params });
  send({ method: 'notifications/initialized' });
}

const call = (id, name, args) => ({ id, method: 'tools/call', params: { name, arguments: args } });

/** Brings the host to where the kill is to come. */
async function bring(host, { window, place, random, n }) {
  begin(host);
  SERVERS.forEach((name, at) => host.send(call(at + 1, `${name}:echo`, { text: 'a' })));
  if (window === 'starting') {
    await host.until('a child is there', async () => (await childrenOf(place.root, host.pid)).length > 0);
    await pause(random.below(LONGEST_START_MS));
    return;
  }
  const isAnswered = (heard) => [1, 2, 3].every((id) => heard.some((one) => one.id === id && one.result));
  await host.until('all servers answered', isAnswered);
  const file = join(place.sandbox, `slow-${n}`);
  if (window === 'in_call') {
    host.send(call(4, 'one:slow', { ms: 600_000, file }));
    await host.until('the tool began', async () => (await effectsIn(file)).length > 0);
  } else if (window === 'in_question') {
    host.send(call(4, 'two:ask', {}));
    await host.until('the question', (heard) => heard.some(({ method }) => method === 'elicitation/create'));
  }
}

/** Those that are still there when the grace is over; ended by us, so that the next kill counts its own. */
async function leftBehind(place, plant) {
  let left = await childrenOf(place.root);
  const grace = plant === '' ? GRACE_MS : PLANTED_GRACE_MS;
  for (const end = Date.now() + grace; left.length > 0 && Date.now() < end;) {
    await pause(50);
    left = await childrenOf(place.root);
  }
  for (const pid of left) process.kill(pid, 'SIGKILL');
  return left.length;
}

/** Runs it; `log` gets a line for each kill that left somebody. */
export async function runHosts({ seed, kills, plant, log }) {
  const random = createRandom(seed);
  const [place] = await openPlaces(1, changes(plant));
  const windows = Object.fromEntries(WINDOWS.map((name) => [name, 0]));
  let [left, children, other] = [0, 0, 0];
  try {
    for (let n = 0; n < kills; n++) {
      const window = WINDOWS[n % WINDOWS.length];
      const host = startHost(place);
      try {
        await bring(host, { window, place, random, n });
      } catch (error) {
        other++;
        log(`kill ${n} ${window}: ${error.message}`);
      }
      children += (await childrenOf(place.root, host.pid)).length;
      await host.kill();
      windows[window]++;
      const stayed = await leftBehind(place, plant);
      left += stayed;
      if (stayed > 0) log(`kill ${n} ${window}: ${stayed} children left`);
    }
  } finally {
    await rm(place.root, { recursive: true, force: true });
  }
  return {
    line: { suite: 'hosts', seed, kills, windows, children, left },
    ok: left === 0 && other === 0 && children > 0,
    other,
  };
}
