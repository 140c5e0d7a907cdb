// Owns the downstream servers of the relay's matrix and a configuration that lets every cell through: our own relay server
// in both eras over stdio and HTTP, and public servers over what they speak.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { capabilityOf } from './place.mjs';
import { eventually } from './session.mjs';

const RELAY = fileURLToPath(new URL('./relay-server.mjs', import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);

/** Each way to our relay server, and what it is called. */
export const WAYS = [
  { name: 'stdio-legacy', era: 'legacy', transport: 'stdio' },
  { name: 'stdio-modern', era: 'modern', transport: 'stdio' },
  { name: 'http-legacy', era: 'legacy', transport: 'http' },
  { name: 'http-modern', era: 'modern', transport: 'http' },
];
const RELAY_TOOLS = ['echo', 'ask', 'ask_url', 'progress', 'slow', 'shout', 'mutate', 'pid'];
const EVERYTHING_TOOLS = [
  'echo',
  'get-sum',
  'trigger-elicitation-request',
  'trigger-url-elicitation',
  'trigger-long-running-operation',
];

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

function startProcess(args, env = {}) {
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH, ...env },
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  return {
    pid: child.pid,
    kill: async (signal = 'SIGKILL') => {
      child.kill(signal);
      await gone;
    },
  };
}

/** Our relay server over HTTP; after it was killed it can be started again under the same address. */
export async function startRelay(...args) {
  const directory = await mkdtemp(join(tmpdir(), 'relay-'));
  const file = join(directory, 'port');
  const start = async (...more) => {
    await rm(file, { force: true });
    const { kill } = startProcess([RELAY, '--http', file, ...args, ...more]);
    const port = await eventually('the relay server listens', () =>
      readFile(file, 'utf8').catch(() => undefined),
    );
    return { port, kill };
  };
  let { port, kill } = await start();
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    forget: () => fetch(`http://127.0.0.1:${port}/control/forget`),
    kill: () => kill(),
    again: async () => {
      ({ port, kill } = await start('--port', port));
    },
    close: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function startEverything() {
  const port = await freePort();
  const { kill } = startProcess([EVERYTHING, 'streamableHttp'], { PORT: String(port) });
  const url = `http://127.0.0.1:${port}/mcp`;
  await eventually('server-everything listens', () =>
    fetch(url).then(
      () => true,
      () => undefined,
    ),
  );
  return { url, close: kill };
}

/** One HTTP server for each way, because a change of one must not be a change of another. */
export async function startServers() {
  const [legacy, modern, everything] = await Promise.all([startRelay(), startRelay(), startEverything()]);
  const urls = { 'http-legacy': legacy.url, 'http-modern': modern.url, 'everything-http': everything.url };
  return { urls, close: () => Promise.all([legacy, modern, everything].map((one) => one.close())) };
}

const WRITES = {
  mode: 'write',
  scopes: [{ type: 'path', pattern: '{sandbox}/**', access: 'write' }],
};

function relayCapability(way, tool) {
  const over = {
    transport: way.transport === 'http' ? 'mcp_http' : 'mcp_stdio',
    ...(tool === 'ask' && way.asksIn !== undefined ? { mode: way.asksIn } : {}),
    ...(tool === 'slow' ? { ...WRITES, path_arguments: [{ pointer: '/file', access: 'write' }] } : {}),
  };
  return [`${way.name}_${tool}`.replaceAll('-', '_'), capabilityOf(way.name, tool, over)];
}

function publicCapabilities() {
  const everything = (server, transport) =>
    EVERYTHING_TOOLS.map((tool) => [
      `${server}_${tool}`.replaceAll('-', '_'),
      capabilityOf(server, tool, { transport }),
    ]);
  return [
    ...everything('everything-stdio', 'mcp_stdio'),
    ...everything('everything-http', 'mcp_http'),
    ['files_list', capabilityOf('files', 'list_directory', {})],
    ['files_allowed', capabilityOf('files', 'list_allowed_directories', {})],
    ['memory_create', capabilityOf('memory', 'create_entities', { mode: 'write' })],
    ['memory_read', capabilityOf('memory', 'read_graph', {})],
  ];
}

function relayEntries(ways, urls) {
  return ways.map((way) => [
    way.name,
    way.transport === 'http'
      ? { transport: 'http', url: urls[way.name], era: way.era }
      : { transport: 'stdio', command: 'node', args: [RELAY], era: way.era },
  ]);
}

function publicEntries(urls) {
  const module = (path) => `{module:@modelcontextprotocol/${path}/dist/index.js}`;
  return [
    [
      'everything-stdio',
      { transport: 'stdio', command: 'node', args: [module('server-everything'), 'stdio'] },
    ],
    ['everything-http', { transport: 'http', url: urls['everything-http'] }],
    ['files', { transport: 'stdio', command: 'node', args: [module('server-filesystem'), '{sandbox}'] }],
    [
      'memory',
      {
        transport: 'stdio',
        command: 'node',
        args: [module('server-memory')],
        env: { MEMORY_FILE_PATH: { value: '{sandbox}/memory.jsonl' } },
      },
    ],
  ];
}

/**
 * What the configuration says. `ways`: to our relay server; without them the ones of the relay's matrix, with the public
 * servers. `controls` goes into the block of capability sessions, `limits` beside it.
 */
export function relayChanges(urls, { ways, controls = {}, limits = {} } = {}) {
  const relay = ways ?? WAYS;
  const capabilities = Object.fromEntries([
    ...relay.flatMap((way) => RELAY_TOOLS.map((tool) => relayCapability(way, tool))),
    ...(ways === undefined ? publicCapabilities() : []),
  ]);
  const servers = Object.fromEntries([
    ...relayEntries(relay, urls),
    ...(ways === undefined ? publicEntries(urls) : []),
  ]);
  const names = Object.keys(capabilities);
  return () => ({
    'agent.yaml': (file) => ({ ...file, approved_capabilities: names }),
    'capabilities.yaml': () => ({ capabilities }),
    'servers.yaml': () => ({ servers }),
    'runtime-controls.yaml': ({ runtime_controls: raw }) => ({
      runtime_controls: {
        ...raw,
        ...limits,
        capability_sessions: { ...raw.capability_sessions, ...controls },
      },
    }),
    'policy.yaml': ({ policy }) => ({
      policy: {
        ...policy,
        tool_registry: { allowed: names, denied: [] },
        loop_budget: { max_iterations: 1000, max_tokens: 500_000 },
        url_allowlist: ['https://example.test'],
        capabilities: Object.fromEntries(names.map((name) => [name, { decision: 'allow' }])),
        workspace: {
          default_decision: 'deny',
          scopes: [
            { type: 'path', pattern: '{sandbox}/**', access: 'read' },
            { type: 'path', pattern: '{sandbox}/**', access: 'write' },
          ],
          rules: [],
        },
      },
    }),
    'runtime.yaml': ({ runtime }) => ({
      runtime: { ...runtime, gateway: { intent: 'relay' }, elicitation_wait_ms: 1500 },
      agent_runtime: {
        default_model: 'relay',
        models: { relay: { provider: 'scripted', model: 'relay', script: 'scripts/support.yaml' } },
        intents: {
          relay: { description: 'Everything.', allow_tools: names, approval_required_tools: [] },
        },
      },
    }),
  });
}
