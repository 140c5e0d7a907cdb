// Owns one workspace with a trusted configuration of its own and pinned probes, and what is seen there from outside the
// server: effects in files that only the probes write, and answers given from another process.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');

// Longer than the second below which an accept does not count, short enough to be waited for.
export const ELICITATION_WAIT_MS = 3000;

// A server for each risk, because a tool of one server is one capability. `shift` may change without harm to others.
const RISKS = ['low', 'medium', 'high'];
const SERVERS = ['probe', ...RISKS, 'shift'];

export function capabilityOf(server, tool, over) {
  return {
    description: `${tool} of ${server}`,
    owner: 'matrix',
    mode: 'read',
    transport: 'mcp_stdio',
    server,
    tool,
    tool_principal: `svc-${server}`,
    risk_tier: 'low',
    network_access: 'none',
    expose: true,
    ...over,
  };
}

const WRITES_FILE = {
  mode: 'write',
  scopes: [{ type: 'path', pattern: '{sandbox}/**', access: 'write' }],
  path_arguments: [{ pointer: '/file', access: 'write' }],
};

const ALLOWED = {
  probe_echo: capabilityOf('probe', 'echo'),
  probe_slow: capabilityOf('probe', 'slow', WRITES_FILE),
  probe_progress: capabilityOf('probe', 'progress'),
  shift_echo: capabilityOf('shift', 'echo'),
  shift_mutate: capabilityOf('shift', 'mutate'),
};
const ASKED = Object.fromEntries(
  RISKS.map((risk) => [
    `${risk}_count`,
    capabilityOf(risk, 'count', { ...WRITES_FILE, risk_tier: risk, approval: 'principal' }),
  ]),
);

function script(sandbox) {
  return {
    version: 1,
    turns: [
      {
        reply: 'I will count this once, which takes more than one piece to say.',
        tool_calls: [{ name: 'high:count', input: { file: join(sandbox, 'turn') } }],
      },
      { reply: 'It is counted.', status: 'reply' },
    ],
  };
}

function clientChanges(sandbox) {
  const names = [...Object.keys(ALLOWED), ...Object.keys(ASKED)];
  const decisions = Object.fromEntries([
    ...Object.keys(ALLOWED).map((name) => [name, { decision: 'allow' }]),
    ...Object.keys(ASKED).map((name) => [name, { decision: 'approval_required', approver: 'principal' }]),
  ]);
  return {
    'agent.yaml': (file) => ({ ...file, approved_capabilities: names }),
    'capabilities.yaml': () => ({ capabilities: { ...ALLOWED, ...ASKED } }),
    'servers.yaml': () => ({
      servers: Object.fromEntries(
        SERVERS.map((name) => [
          name,
          { transport: 'stdio', command: 'node', args: ['{package}/dist/testing/servers/probe.js'] },
        ]),
      ),
    }),
    'policy.yaml': ({ policy }) => ({
      policy: {
        ...policy,
        tool_registry: { allowed: names, denied: [] },
        loop_budget: { max_iterations: 1000, max_tokens: 500_000 },
        attestation: { low: 'client', medium: 'client', high: 'client', critical: 'credential' },
        capabilities: decisions,
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
      runtime: {
        ...runtime,
        gateway: { intent: 'matrix' },
        elicitation_wait_ms: ELICITATION_WAIT_MS,
      },
      agent_runtime: {
        default_model: 'matrix',
        models: { matrix: { provider: 'scripted', model: 'matrix', script: 'scripts/matrix.yaml' } },
        intents: {
          matrix: {
            description: 'Everything the matrix calls.',
            allow_tools: Object.keys(ALLOWED),
            approval_required_tools: Object.keys(ASKED),
          },
        },
        limits: { max_turns_per_session: 12, max_tool_calls_per_session: 12, max_input_bytes: 65_536 },
      },
    }),
    'scripts/matrix.yaml': () => script(sandbox),
  };
}

async function writeConfig(config, sandbox, changes) {
  await cp(join(ROOT, 'configs'), config, {
    recursive: true,
    filter: (from) => !from.startsWith(join(ROOT, 'configs', 'tools')),
  });
  for (const [name, change] of Object.entries(changes(sandbox))) {
    const path = join(config, name);
    const before = await readFile(path, 'utf8').then(parse, () => ({}));
    await writeFile(path, stringify(change(before)));
  }
}

/** From the module that a command would use, so that trust lies where a command looks for it. */
async function commandContext(place) {
  const { createContext } = await import('../../dist/cli/context.js');
  const silent = { result: async () => undefined, remark: () => undefined, error: () => undefined };
  const options = { workspace: place.workspace, config: place.config };
  return createContext(options, place.env, () => silent);
}

async function trust(place) {
  const { loadAny, openTrustStore } = await import('../../dist/cli/trusted-config.js');
  const context = await commandContext(place);
  const { digest } = await loadAny(context);
  await openTrustStore(context).trust(place.workspace, digest, Date.now());
}

/** Runs one command of the product to its end. */
export function command(place, ...args) {
  const all = [MAIN, ...args, '--workspace', place.workspace, '--config', place.config];
  return new Promise((resolve) => {
    execFile(process.execPath, all, { env: place.env, cwd: place.workspace }, (error, out, err) => {
      resolve({ code: error === null ? 0 : error.code, out, err });
    });
  });
}

async function preparePlace(changes) {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'matrix-')));
  const place = {
    root,
    workspace: join(root, 'work'),
    sandbox: join(root, 'work', 'sandbox'),
    config: join(root, 'config'),
    env: { PATH: process.env.PATH, HOME: root, AGENT_RUNTIME_STATE: join(root, 'state') },
    close: () => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  };
  await mkdir(place.sandbox, { recursive: true });
  await writeConfig(place.config, place.sandbox, changes);
  await trust(place);
  return place;
}

/**
 * That many places alike. Pinned once: a pin file is made to be shared between machines. `changes`: what the
 * configuration says instead, by file, for a sandbox.
 */
export async function openPlaces(count, changes = clientChanges) {
  const places = await Promise.all(Array.from({ length: count }, () => preparePlace(changes)));
  const [first, ...others] = places;
  const pinned = await command(first, 'capabilities', 'pin', '--yes');
  if (pinned.code !== 0) throw new Error(`pinning failed: ${pinned.out}${pinned.err}`);
  const lock = ({ workspace }) => join(workspace, '.agent-runtime', 'tools.lock.json');
  for (const other of others) {
    await mkdir(dirname(lock(other)), { recursive: true });
    await cp(lock(first), lock(other));
  }
  return places;
}

/** The lines that probes wrote; each is one effect. */
export async function effectsIn(file) {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

/** What `approvals resolve` records for the person at the terminal, without the terminal. */
export async function answerFromQueue(place, approvalId, decision) {
  const [{ withStore }, { createApprovals }, { localAnswerer }, { loadTrusted }] = await Promise.all([
    import('../../dist/cli/open-store.js'),
    import('../../dist/kernel/approvals/approvals.js'),
    import('../../dist/cli/identity.js'),
    import('../../dist/cli/trusted-config.js'),
  ]);
  const context = await commandContext(place);
  const answerer = localAnswerer((await loadTrusted(context)).identity);
  return withStore(context, (store) =>
    createApprovals(store).deliver(answerer, approvalId, {
      delivery: { kind: 'answered', decision, latencyMs: 5000 },
      at: context.clock.now(),
    }),
  );
}
