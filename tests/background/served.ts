// A workspace with a trusted configuration of its own, and released SDK clients over the built server as its own process.
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import type { JSONRPCMessage } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as V1StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { createContext } from '../../src/cli/context.ts';
import { localAnswerer } from '../../src/cli/identity.ts';
import { withStore } from '../../src/cli/open-store.ts';
import type { Printer } from '../../src/cli/print.ts';
import { loadAny, loadTrusted, openTrustStore } from '../../src/cli/trusted-config.ts';
import { createApprovals } from '../../src/kernel/approvals/approvals.ts';
import { MAIN, run } from '../cli/harness.ts';
import type { Place, Ran } from '../cli/harness.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
// Longer than a timer that a dead process had taken.
const PATIENCE_MS = 50_000;
const TASKS = 'io.modelcontextprotocol/tasks';

export interface ServedPlace extends Place {
  sandbox: string;
  config: string;
}

type Doc = Record<string, unknown>;

const WRITES_FILE = {
  mode: 'write',
  scopes: [{ type: 'path', pattern: '{sandbox}/**', access: 'write' }],
  path_arguments: [{ pointer: '/file', access: 'write' }],
};

function capability(tool: string, over: Doc): Doc {
  const server = tool === 'count' ? 'counter' : 'probe';
  return {
    ...{ description: tool, owner: 'tests', transport: 'mcp_stdio', server, tool },
    ...{
      tool_principal: `svc-${tool}`,
      risk_tier: 'medium',
      network_access: 'none',
      ...WRITES_FILE,
      ...over,
    },
  };
}

/** Turns follow from the newest message alone, so that any process may take the next one. */
function script(sandbox: string): Doc {
  const counts = ['a', 'b', 'c'].map((name) => ({
    when: { contains: `count ${name}.` },
    reply: `I will count ${name}.`,
    tool_calls: [{ name: 'counter:count', input: { file: join(sandbox, name) } }],
  }));
  return {
    version: 1,
    turns: [
      ...counts,
      {
        when: { contains: 'be slow.' },
        reply: 'I will be slow.',
        tool_calls: [{ name: 'probe:slow', input: { ms: 120_000, file: join(sandbox, 'slow') } }],
      },
      {
        when: { contains: 'report.' },
        reply: 'I will report.',
        tool_calls: [{ name: 'probe:progress', input: { steps: 3, hang: true } }],
      },
      {
        when: { contains: 'be quick.' },
        reply: 'I will be quick.',
        tool_calls: [{ name: 'probe:slow', input: { ms: 0, file: join(sandbox, 'quick') } }],
      },
      { when: { last_tool: 'counter:count' }, reply: 'It is counted.', status: 'complete' },
      { when: { contains: 'hello.' }, reply: 'Hello.', status: 'reply' },
    ],
    fallback: { reply: 'Done.', status: 'complete' },
  };
}

export interface ConfigChanges {
  agent?: string;
  principal?: string;
  roles?: string[];
  background?: Doc;
  controls?: Doc;
}

function changed(sandbox: string, changes: ConfigChanges): Record<string, (file: Doc) => Doc> {
  const names = ['probe_slow', 'probe_progress', 'counter_count'];
  const server = { transport: 'stdio', command: 'node', args: ['{package}/dist/testing/servers/probe.js'] };
  return {
    'agent.yaml': ({ agent, ...file }) => ({
      ...file,
      agent: { ...(agent as Doc), ...(changes.agent === undefined ? {} : { id: changes.agent }) },
      approved_capabilities: names,
    }),
    'capabilities.yaml': () => ({
      capabilities: {
        probe_slow: capability('slow', { timeout_seconds: 120 }),
        probe_progress: capability('progress', { timeout_seconds: 120, scopes: [], path_arguments: [] }),
        counter_count: capability('count', { approval: 'principal' }),
      },
    }),
    'servers.yaml': () => ({ servers: { probe: server, counter: server } }),
    'identity.yaml': ({ identity }) => {
      const { stdio } = identity as { stdio: Doc };
      const { principal = stdio.principal, roles = stdio.roles } = changes;
      return { identity: { ...(identity as Doc), stdio: { ...stdio, principal, roles } } };
    },
    'runtime-controls.yaml': ({ runtime_controls: controls }) => ({
      runtime_controls: { ...(controls as Doc), ...changes.controls },
    }),
    'policy.yaml': ({ policy }) => ({
      policy: {
        ...(policy as Doc),
        tool_registry: { allowed: names, denied: [] },
        loop_budget: { max_iterations: 1000, max_tokens: 500_000 },
        attestation: { low: 'client', medium: 'client', high: 'client', critical: 'credential' },
        capabilities: {
          probe_slow: { decision: 'allow' },
          probe_progress: { decision: 'allow' },
          counter_count: { decision: 'approval_required', approver: 'principal' },
        },
        workspace: { default_decision: 'deny', scopes: WRITES_FILE.scopes, rules: [] },
      },
    }),
    'runtime.yaml': ({ runtime }) => {
      const { background, ...rest } = runtime as Doc & { background: Doc };
      return {
        runtime: {
          ...rest,
          background: { ...background, ...changes.background },
          gateway: { intent: 'runs' },
        },
        agent_runtime: {
          default_model: 'runs',
          models: { runs: { provider: 'scripted', model: 'runs', script: 'scripts/runs.yaml' } },
          intents: {
            runs: {
              description: 'Everything the runs call.',
              allow_tools: ['probe_slow', 'probe_progress'],
              approval_required_tools: ['counter_count'],
            },
          },
          limits: { max_turns_per_session: 40, max_tool_calls_per_session: 40, max_input_bytes: 65_536 },
        },
      };
    },
    'scripts/runs.yaml': () => script(sandbox),
  };
}

const QUIET: Printer = {
  json: true,
  style: (_style, text) => text,
  result: async () => undefined,
  remark: () => undefined,
  error: () => undefined,
};

function contextOf(at: ServedPlace): ReturnType<typeof createContext> {
  const env = { AGENT_RUNTIME_STATE: at.state };
  return createContext({ workspace: at.workspace, config: at.config }, env, QUIET);
}

/** The same workspace under another configuration, trusted too. */
export async function reconfigured(
  at: Pick<ServedPlace, 'workspace' | 'state' | 'sandbox'>,
  name: string,
  changes: ConfigChanges,
): Promise<ServedPlace> {
  const config = join(dirname(at.workspace), name);
  await cp(join(ROOT, 'configs'), config, {
    recursive: true,
    filter: (from) => !from.startsWith(join(ROOT, 'configs', 'tools')),
  });
  for (const [file, change] of Object.entries(changed(at.sandbox, changes))) {
    const path = join(config, file);
    const before = await readFile(path, 'utf8').then(
      (text) => parse(text) as Doc,
      () => ({}),
    );
    await writeFile(path, stringify(change(before)));
  }
  const context = contextOf({ ...at, config });
  const { digest } = await loadAny(context);
  await openTrustStore(context).trust(at.workspace, digest, context.clock.now());
  return { ...at, config };
}

let lock: string | undefined;

export async function servedPlace(changes: ConfigChanges = {}): Promise<ServedPlace> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'served-')));
  onTestFinished(() => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  const bare = {
    workspace: join(root, 'work'),
    state: join(root, 'state'),
    sandbox: join(root, 'work', 'sandbox'),
  };
  await mkdir(join(bare.workspace, '.agent-runtime'), { recursive: true });
  await mkdir(bare.sandbox);
  const at = await reconfigured(bare, 'config', changes);
  const file = join(bare.workspace, '.agent-runtime', 'tools.lock.json');
  if (lock !== undefined) await writeFile(file, lock);
  else {
    const pinned = await command(at, 'capabilities', 'pin', '--yes');
    if (pinned.code !== 0) throw new Error(`pinning failed: ${pinned.out}${pinned.err}`);
    lock = await readFile(file, 'utf8');
  }
  return at;
}

/** Runs one command of the product to its end. */
export function command(at: ServedPlace, ...args: string[]): Promise<Ran> {
  return run(at, [...args, '--config', at.config]);
}

/** The lines that a probe wrote; each is one effect. */
export async function effects(at: ServedPlace, name: string): Promise<string[]> {
  const text = await readFile(join(at.sandbox, name), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

/** What `approvals resolve` records for the person at the terminal, without the terminal. */
export async function answerAtTerminal(
  at: ServedPlace,
  approvalId: string,
  decision: 'approve' | 'reject',
): Promise<void> {
  const context = contextOf(at);
  const answerer = localAnswerer((await loadTrusted(context)).identity);
  await withStore(context, (store) =>
    createApprovals(store).deliver(answerer, approvalId, {
      delivery: { kind: 'answered', decision, latencyMs: 5000 },
      at: context.clock.now(),
    }),
  );
}

/** Waits for something that another process does. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await pause(25);
  }
  throw new Error(`never happened: ${what}`);
}

export interface Task {
  taskId: string;
  status: 'working' | 'input_required' | 'completed' | 'cancelled' | 'failed';
  statusMessage: string;
  inputRequests?: Record<string, { method: string; params: { message: string } }>;
  result?: { structuredContent: Doc; isError?: boolean };
}

export interface Served {
  pid: number;
  /** Structured content of the answer. */
  call(tool: string, args?: Doc): Promise<Doc>;
  /** The answer as it was on the wire: the SDK has no type for one that is a task. */
  raw(tool: string, args?: Doc): Promise<Doc>;
  task(taskId: string): Promise<Task>;
  /** Polls until the task has this status. */
  until(taskId: string, status: Task['status']): Promise<Task>;
  update(taskId: string, inputResponses: Doc): Promise<void>;
  cancelTask(taskId: string): Promise<void>;
  read(uri: string): Promise<Doc>;
  /** Asks to be told when the resource changes; each look resolves once for each time it was told, and never otherwise. */
  follow(uri: string): Promise<{ uris: string[]; told(): Promise<void> }>;
  /** SIGKILL, as a power cut would. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

type Kind = 'tasks' | 'v2' | 'v1';

interface Wire {
  pid: number | null;
  onmessage?: ((message: never, extra?: never) => void) | undefined;
  onclose?: (() => void) | undefined;
}

function parameters(
  at: ServedPlace,
  flags: readonly string[],
): ConstructorParameters<typeof StdioClientTransport>[0] {
  const { PATH = '', HOME = '' } = process.env;
  const where = ['--workspace', at.workspace, '--config', at.config];
  return {
    command: process.execPath,
    args: [MAIN, 'serve', '--tools', 'all', ...where, ...flags],
    env: { PATH, HOME, AGENT_RUNTIME_STATE: at.state },
    cwd: at.workspace,
    stderr: 'pipe',
  };
}

interface Opened {
  transport: Wire;
  callTool(tool: string, args: Doc): Promise<unknown>;
  request(method: string, params: Doc): Promise<unknown>;
  /** The URIs that it was granted. */
  subscribe(uri: string): Promise<string[]>;
  close(): Promise<void>;
}

async function openV2(at: ServedPlace, kind: Kind, flags: readonly string[]): Promise<Opened> {
  const client = new Client(
    { name: 'tests', version: '1' },
    {
      capabilities: kind === 'tasks' ? { elicitation: { form: {} }, extensions: { [TASKS]: {} } } : {},
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  );
  if (kind === 'tasks') {
    client.setRequestHandler('elicitation/create', () => ({ action: 'cancel' as const }));
  }
  const transport = new StdioClientTransport(parameters(at, flags));
  await client.connect(transport);
  return {
    transport: transport as unknown as Wire,
    callTool: (name, args) => client.callTool({ name, arguments: args }),
    request: (method, params) => client.request({ method, params } as never, z.looseObject({}) as never),
    async subscribe(uri) {
      const { honoredFilter } = await client.listen({ resourceSubscriptions: [uri] });
      return honoredFilter.resourceSubscriptions ?? [];
    },
    close: () => client.close(),
  };
}

async function openV1(at: ServedPlace, flags: readonly string[]): Promise<Opened> {
  const client = new V1Client({ name: 'tests', version: '1' }, { capabilities: {} });
  const transport = new V1StdioClientTransport(parameters(at, flags));
  await client.connect(transport);
  return {
    transport: transport as unknown as Wire,
    callTool: (name, args) => client.callTool({ name, arguments: args }),
    request: (method, params) => client.request({ method, params }, z.looseObject({}) as never),
    async subscribe(uri) {
      await client.subscribeResource({ uri });
      return [uri];
    },
    close: () => client.close(),
  };
}

/** Counts what was told until somebody looks. */
class Told {
  #waiting: (() => void)[] = [];
  #untaken = 0;

  tell(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#untaken += 1;
    else next();
  }

  async next(): Promise<void> {
    if (this.#untaken > 0) this.#untaken -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** A client of one kind with a server process of its own. */
export async function serve(at: ServedPlace, kind: Kind, flags: readonly string[] = []): Promise<Served> {
  const opened = kind === 'v1' ? await openV1(at, flags) : await openV2(at, kind, flags);
  const { transport, callTool, request } = opened;
  const results: Doc[] = [];
  const updates = new Map<string, Told>();
  const take = transport.onmessage;
  transport.onmessage = ((message: JSONRPCMessage, extra: never) => {
    if ('result' in message) results.push(message.result);
    if ('method' in message && message.method === 'notifications/resources/updated') {
      updates.get(String(message.params?.uri))?.tell();
    }
    take?.(message as never, extra);
  }) as never;
  const pid = transport.pid ?? 0;
  const gone = new Promise<void>((resolve) => {
    const before = transport.onclose;
    transport.onclose = () => {
      before?.();
      resolve();
    };
  });
  const close = async (): Promise<void> => {
    await opened.close().catch(() => undefined);
  };
  onTestFinished(close);
  const task = (taskId: string): Promise<Task> => request('tasks/get', { taskId }) as Promise<Task>;
  return {
    pid,
    async call(tool, args = {}) {
      const { structuredContent } = (await callTool(tool, args)) as { structuredContent: Doc };
      return structuredContent;
    },
    async raw(tool, args = {}) {
      await callTool(tool, args).catch((thrown: unknown) => {
        // The released SDK refuses to type such an answer; a host reads it from the wire.
        if ((thrown as { code?: unknown }).code !== 'UNSUPPORTED_RESULT_TYPE') throw thrown;
      });
      return results.at(-1) ?? {};
    },
    task,
    until: (taskId, status) =>
      eventually(`${taskId} is ${status}`, async () => {
        const now = await task(taskId);
        return now.status === status ? now : undefined;
      }),
    async update(taskId, inputResponses) {
      await request('tasks/update', { taskId, inputResponses });
    },
    async cancelTask(taskId) {
      await request('tasks/cancel', { taskId });
    },
    async read(uri) {
      const { contents } = (await request('resources/read', { uri })) as { contents: { text: string }[] };
      return JSON.parse(contents[0]?.text ?? '{}') as Doc;
    },
    async follow(uri) {
      const told = new Told();
      updates.set(uri, told);
      const uris = await opened.subscribe(uri);
      return { uris, told: () => told.next() };
    },
    async kill() {
      process.kill(pid, 'SIGKILL');
      await gone;
    },
    close,
  };
}

export function saying(content: string): Doc {
  return { execute_turn_input: { messages: [{ role: 'user', content }] } };
}
