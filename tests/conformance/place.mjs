// Owns the servers that the suite is run against: the SDK's everything-server by itself, and our HTTP server, as a user
// starts it, with the same server behind it as a governed one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { capabilityOf, command, MAIN, openPlaces } from '../matrix/place.mjs';
import { eventually } from '../matrix/session.mjs';

// The gateway puts it before each tool and prompt.
const SERVER = 'test';
const READS = ['resources/read', 'resources/subscribe', 'prompts/get', 'completion/complete'];

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'close');
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(limit);
}

/** The everything-server of the given file. */
export async function startEverything(node, file) {
  const port = await freePort();
  const child = spawn(node, [file], { env: { PATH: process.env.PATH, PORT: String(port) }, stdio: 'ignore' });
  const url = `http://localhost:${port}/mcp`;
  await eventually('the everything-server listens', () =>
    fetch(url).then(
      () => true,
      () => undefined,
    ),
  );
  return { url, close: () => ended(child) };
}

function toolsIn(text) {
  return [...text.matchAll(/registerTool\(\s*'([^']+)'/g)].map(([, name]) => name);
}

function changes(url, era, tools) {
  const named = [...tools, ...READS].map((tool) => [
    `${SERVER}_${tool}`.replaceAll(/[^A-Za-z0-9_]/g, '_'),
    capabilityOf(SERVER, tool, { transport: 'mcp_http' }),
  ]);
  const capabilities = Object.fromEntries(named);
  const names = Object.keys(capabilities);
  return () => ({
    'agent.yaml': (file) => ({ ...file, approved_capabilities: names }),
    'capabilities.yaml': () => ({ capabilities }),
    'servers.yaml': () => ({ servers: { [SERVER]: { transport: 'http', url, era } } }),
    'policy.yaml': ({ policy }) => ({
      policy: {
        ...policy,
        tool_registry: { allowed: names, denied: [] },
        loop_budget: { max_iterations: 1000, max_tokens: 500_000 },
        // The suite's resources are names of this scheme, and one prompt takes such a name as an argument.
        url_allowlist: ['test:'],
        cycle_detection: { ...policy.cycle_detection, max_repeats: 1000 },
        capabilities: Object.fromEntries(names.map((name) => [name, { decision: 'allow' }])),
        workspace: { default_decision: 'deny', scopes: [], rules: [] },
      },
    }),
    'runtime-controls.yaml': ({ runtime_controls: raw }) => ({
      runtime_controls: {
        ...raw,
        capability_sessions: { ...raw.capability_sessions, sampling: 'client', roots: 'client' },
      },
    }),
    'runtime.yaml': ({ runtime }) => ({
      runtime: { ...runtime, gateway: { intent: 'conformance' } },
      agent_runtime: {
        default_model: 'none',
        models: { none: { provider: 'scripted', model: 'none', script: 'scripts/support.yaml' } },
        intents: {
          conformance: { description: 'Everything.', allow_tools: names, approval_required_tools: [] },
        },
      },
    }),
  });
}

async function serve(place) {
  const where = ['--workspace', place.workspace, '--config', place.config];
  const how = ['serve', '--http', '--port', '0', '--tools', 'gateway', '--tool-names', 'portable'];
  const child = spawn(process.execPath, [MAIN, ...how, ...where], {
    env: place.env,
    cwd: place.workspace,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8');
  const url = await new Promise((resolve, reject) => {
    child.on('close', (code) => reject(new Error(`our server ended with ${code}: ${log}`)));
    child.stderr.on('data', (text) => {
      log = (log + text).slice(-200_000);
      const found = /"url":"([^"]+)"/.exec(log);
      if (found !== null) resolve(found[1]);
    });
  });
  return { url, log: () => log, close: () => ended(child) };
}

/** Our server with the everything-server of the given file behind it, which it speaks to in that era. */
export async function startGateway(node, file, era) {
  const { readFile } = await import('node:fs/promises');
  const behind = await startEverything(node, file);
  try {
    const [place] = await openPlaces(1, changes(behind.url, era, toolsIn(await readFile(file, 'utf8'))));
    const added = await command(place, 'tokens', 'add', '--principal', 'os:conformance', '--json');
    if (added.code !== 0) throw new Error(`no token: ${added.out}${added.err}`);
    const server = await serve(place);
    return {
      url: server.url,
      token: JSON.parse(added.out).token,
      log: server.log,
      close: async () => {
        await server.close();
        await place.close();
        await behind.close();
      },
    };
  } catch (error) {
    await behind.close();
    throw error;
  }
}
