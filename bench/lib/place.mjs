// Owns a place to measure in: a workspace, a configuration that raises every limit, and a state directory, gone at the end.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../dist/index.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');
export const MAIN = join(ROOT, 'dist/cli/main.js');
export const PROBE = join(ROOT, 'dist/testing/servers/probe.js');
export const RAW = join(ROOT, 'bench/floor/raw-server.mjs');
export const DOWNSTREAM = join(ROOT, 'bench/floor/downstream.mjs');

const MOST = 1_000_000;

function echo(over) {
  return {
    description: 'Answers with its text.',
    owner: 'bench',
    mode: 'read',
    tool_principal: 'svc-bench',
    risk_tier: 'low',
    network_access: 'none',
    expose: true,
    ...over,
  };
}

/** A server over stdio, as servers.yaml has it. */
export const ofNode = (file) => ({ transport: 'stdio', command: 'node', args: [file] });

/** JSON is YAML, so the files are written as such. */
function documents({ capabilities, rules, server }) {
  const tools = Object.keys(capabilities);
  const agent = { id: 'bench', display_name: 'Bench', owner_team: 'bench', runtime_principal: 'svc-bench' };
  return {
    'agent.yaml': { agent, approved_capabilities: tools },
    'capabilities.yaml': { capabilities },
    'servers.yaml': { servers: { probe: server } },
    'policy.yaml': {
      policy: {
        version: 'bench/1',
        tool_registry: { allowed: tools, denied: [] },
        url_allowlist: [],
        sandbox: { path_template: '{workspace}/sandbox' },
        arg_schema_enforcement: 'strict',
        loop_budget: { max_iterations: MOST, max_tokens: MOST * 1000 },
        cycle_detection: { max_repeats: 3, window_seconds: 600 },
        retry: { max_retries: 1, backoff_base_ms: 10, backoff_cap_ms: 20 },
        execution: { allow_network_access: [] },
        capabilities: Object.fromEntries(tools.map((name) => [name, { decision: 'allow' }])),
        workspace: { default_decision: 'deny', rules },
      },
    },
    'runtime.yaml': {
      agent_runtime: {
        default_model: 'demo',
        models: { demo: { provider: 'scripted', model: 'stub', script: 'scripts/support.yaml' } },
        intents: {},
        limits: {
          max_turns_per_session: 10_000,
          max_tool_calls_per_session: 10_000,
          max_input_bytes: 1_048_576,
        },
      },
    },
  };
}

const DENY_RULE = {
  id: 'no-deny',
  tools: ['echo'],
  when: 'args.text.startsWith("deny")',
  decision: 'deny',
  reason: 'The bench asked for a denial.',
};

/** The tool `echo` of the probe server, and of our own process under the name `look`. */
export const CAPABILITIES = {
  echo: echo({ transport: 'mcp_stdio', server: 'probe' }),
  look: echo({
    transport: 'in_process',
    input_schema: {
      type: 'object',
      properties: { text: { type: 'string' } },
      required: ['text'],
      additionalProperties: false,
    },
  }),
};

export function makePlace({ capabilities = CAPABILITIES, rules = [DENY_RULE], server = ofNode(PROBE) } = {}) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'bench-')));
  const place = {
    root,
    workspace: join(root, 'work'),
    configs: join(root, 'work', 'configs'),
    state: join(root, 'state'),
    environment: { PATH: process.env.PATH, HOME: root, AGENT_RUNTIME_STATE: join(root, 'state') },
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
  mkdirSync(place.workspace);
  cpSync(join(ROOT, 'configs'), place.configs, { recursive: true });
  for (const [name, document] of Object.entries(documents({ capabilities, rules, server }))) {
    writeFileSync(join(place.configs, name), JSON.stringify(document));
  }
  return place;
}

export function loadPlace({ configs, workspace }) {
  return loadConfig({ directory: configs, workspace, env: {}, packageRoot: ROOT });
}

/** Trusts the configuration and pins the probe server, as a person would before serving. */
export async function prepare(place) {
  command(place, ['trust', '--digest', (await loadPlace(place)).digest]);
  command(place, ['capabilities', 'pin', 'probe', '--yes']);
}

function command(place, args) {
  const options = { cwd: place.workspace, env: place.environment, encoding: 'utf8' };
  const { status, stderr, stdout } = spawnSync(process.execPath, [MAIN, ...args], options);
  if (status !== 0) throw new Error(`agent-runtime ${args.join(' ')}: exit ${status}\n${stdout}${stderr}`);
}
