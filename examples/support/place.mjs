// Owns the workspace of one example: a new folder with the bundled configuration, the example's models and its changes to
// the configuration, trusted and pinned as a person would; and the ways to act there: a command, a runtime, a terminal.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRuntime, loadConfig } from 'agent-runtime-pack';
import { parse, stringify } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const MAIN = join(ROOT, 'dist/cli/main.js');

const PATIENCE_MS = 60_000;

/** Runs one command to its end; with a code that was not expected it throws what the command said. */
export function command(place, args, expected = 0) {
  return new Promise((resolve, reject) => {
    const done = (error, out, err) => {
      const code = error === null ? 0 : error.code;
      if (code === expected) resolve(out);
      else reject(new Error(`agent-runtime ${args.join(' ')} ended with ${code}: ${out}${err}`));
    };
    execFile(process.execPath, [MAIN, ...args], { env: place.env, cwd: place.workspace }, done);
  });
}

export async function json(place, args, expected = 0) {
  return JSON.parse(await command(place, [...args, '--json'], expected));
}

/** The same command again while another run holds the work: the process that held it has died, but not long enough ago. */
export async function jsonWhenFree(place, args) {
  for (const end = Date.now() + PATIENCE_MS; ; await pause(200)) {
    try {
      return await json(place, args);
    } catch (error) {
      if (!String(error).includes('run_held') || Date.now() > end) throw error;
    }
  }
}

async function edit(file, change) {
  await writeFile(file, stringify(change(parse(await readFile(file, 'utf8')))));
}

/** Every file of `models/` becomes a model profile of its name, the first is the default; `{sandbox}` is the place's own. */
async function installModels(place, folder) {
  const files = (await readdir(folder)).sort();
  for (const file of files) {
    const script = await readFile(join(folder, file), 'utf8');
    await writeFile(
      join(place.configs, 'scripts', file),
      script.replaceAll('{sandbox}', () => place.sandbox),
    );
  }
  const profiles = files.map((file) => {
    const name = basename(file, '.yaml');
    return [name, { provider: 'scripted', model: name, script: `scripts/${file}` }];
  });
  await edit(join(place.configs, 'runtime.yaml'), (tree) => ({
    ...tree,
    agent_runtime: {
      ...tree.agent_runtime,
      default_model: profiles[0][0],
      models: Object.fromEntries(profiles),
    },
  }));
}

/**
 * `changes` says what becomes of a configuration file, by its name; `folders` lie in the sandbox; `pins`: the example calls
 * tools of servers.
 */
export async function openPlace(folder, { changes = {}, folders = [], pins = false } = {}) {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'example-')));
  const place = {
    folder,
    workspace: join(root, 'work'),
    configs: join(root, 'work', 'configs'),
    sandbox: join(root, 'work', 'sandbox'),
    stateDirectory: join(root, 'state'),
    env: { PATH: process.env.PATH, HOME: root, AGENT_RUNTIME_STATE: join(root, 'state') },
    file: (name) => join(folder, name),
    close: () => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  };
  for (const name of ['', ...folders]) await mkdir(join(place.sandbox, name), { recursive: true });
  await command(place, ['init']);
  await installModels(place, join(folder, 'models'));
  for (const [name, change] of Object.entries(changes)) await edit(join(place.configs, name), change);
  const { digest } = await json(place, ['config', 'check']);
  await command(place, ['trust', '--digest', digest]);
  if (pins) await command(place, ['capabilities', 'pin', '--yes']);
  return place;
}

/** The runtime of a program, over the same workspace as the commands. */
export async function openRuntime(place, options = {}) {
  const { workspace, stateDirectory, env } = place;
  const load = { directory: place.configs, workspace, env, packageRoot: ROOT };
  return createRuntime({ config: await loadConfig(load), workspace, stateDirectory, env, ...options });
}

/** The person of this machine, as the commands know them: one workspace, one owner. */
export function localCaller() {
  const uid = process.getuid?.() ?? 'user';
  return {
    tenant: 'local',
    principal: `os:${uid}`,
    actor: `program:${process.pid}`,
    roles: ['operator', 'manager'],
    scopes: [],
    lane: 'default',
  };
}

/** What a node's session was told and what it said: its readable copy, made anew from the journal. */
export async function nodeSession(place, graph, node) {
  const { session_id: id } = graph.nodes.find((one) => one.id === node) ?? {};
  const { file } = await json(place, ['sessions', 'snapshot', id]);
  return JSON.parse(await readFile(file, 'utf8'));
}

/** The workflow's own records, oldest first. */
export async function recordsOf(place, id) {
  const { timeline } = await json(place, ['sessions', 'show', id]);
  return timeline.map(({ seq, type, node_id: node }) => ({ seq, type, node }));
}

export function graphOf(place, id) {
  return json(place, ['workflows', 'graph', id]);
}

export const statuses = (graph) => Object.fromEntries(graph.nodes.map(({ id, status }) => [id, status]));
