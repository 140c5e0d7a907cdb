// Owns what the tests of downstream servers share: real children from dist, a sandbox whose count is checked at the end,
// calls with defaults, and a pin store in memory.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Capability, DownstreamServer } from '../../src/config/types.ts';
import { createDownstreams } from '../../src/capabilities/downstreams.ts';
import type { Downstreams } from '../../src/capabilities/downstreams.ts';
import { createDownstreamExecutor } from '../../src/capabilities/executor.ts';
import { EMPTY_PIN_FILE, pinDigest, pinFileSchema } from '../../src/capabilities/pin-file.ts';
import type { PinFile, PinStore } from '../../src/capabilities/pin-file.ts';
import type { CallIo, Execution, ExecutionResult, Executor } from '../../src/kernel/execution/executor.ts';
import type { Progress } from '../../src/kernel/execution/executor.ts';
import type { ConfineOptions } from '../../src/kernel/sandbox/launch.ts';
import { createSandbox } from '../../src/kernel/sandbox/spawn.ts';
import { createRedactor } from '../../src/kernel/evidence/redact.ts';
import { randomIds } from '../../src/base/ids.ts';
import { createLedger } from '../../src/capabilities/sessions/ledger.ts';
import type { Ledger } from '../../src/capabilities/sessions/ledger.ts';
import { LiveSessions } from '../../src/capabilities/sessions/live.ts';
import type { CapabilitySessionControls } from '../../src/config/types.ts';
import { holdLock } from '../../src/store/documents/file-lock.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import type { Store } from '../../src/store/contract.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import type { Sandbox } from '../../src/kernel/sandbox/contract.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';

/** As the runtime has it. */
export const lock: ConfineOptions['lock'] = (path) => holdLock(path, { ids: randomIds, clock: systemClock });

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

/** A compiled demo server. */
export function script(name: 'desk' | 'probe' | 'hostile' | 'intruder'): string {
  return fileURLToPath(new URL(`../../dist/testing/servers/${name}.js`, import.meta.url));
}

export function server(name: string, args: string[], over: Partial<DownstreamServer> = {}): DownstreamServer {
  return {
    name,
    transport: 'stdio',
    command: process.execPath,
    args,
    envAllow: [],
    env: {},
    era: 'legacy',
    startTimeoutSeconds: 20,
    maxMessageBytes: 1024 * 1024,
    maxTools: 200,
    ...over,
  };
}

export const probe = (over: Partial<DownstreamServer> = {}, ...flags: string[]): DownstreamServer =>
  server('probe', [script('probe'), ...flags], over);
export const hostile = (how: string, over: Partial<DownstreamServer> = {}): DownstreamServer =>
  server('hostile', [script('hostile'), how], over);

export function capability(serverName: string, tool: string, over: Partial<Capability> = {}): Capability {
  return {
    name: tool,
    id: `${serverName}:${tool}`,
    owner: 'tests',
    mode: 'write',
    permission: 'write',
    version: '1.0.0',
    pack: 'kit',
    transport: 'mcp_stdio',
    server: serverName,
    tool,
    timeoutSeconds: 20,
    outputBytes: 100_000,
    toolPrincipal: 'svc-tests',
    risk: 'low',
    class: 'plain',
    networkAccess: 'none',
    allowedEgress: [],
    approval: 'none',
    idempotency: { keyRequired: false, idempotent: false },
    scopes: [],
    pathArguments: [],
    urlArguments: [],
    expose: true,
    sandboxed: false,
    ...over,
  };
}

export interface Bench {
  sandbox: Sandbox;
  downstreams: Downstreams;
  executor: Executor;
  store: Store;
  ledger: Ledger;
  sessions: LiveSessions;
  drifted: string[];
  /** Servers in the order in which they were listed. */
  listed: string[];
  stderr: string[];
  /** A directory of this test's own. */
  directory: string;
  /** Calls a tool with the digest of its live definition, unless `over` says another. */
  call(id: string, args?: JsonObject, over?: CallOver): Promise<ExecutionResult>;
  /** Waits for what is being written. */
  settled(): Promise<void>;
  /** Ends everything and expects that no child is left. */
  end(): Promise<void>;
}

export interface CallOver {
  capability?: Partial<Capability>;
  execution?: Partial<Execution>;
  signal?: AbortSignal;
  progress?: (progress: Progress) => void;
  ask?: NonNullable<CallIo['ask']>;
  log?: NonNullable<CallIo['log']>;
}

export function freshSignal(): AbortSignal {
  return new AbortController().signal;
}

export async function livePin(downstreams: Downstreams, serverName: string, tool: string): Promise<string> {
  const connection = downstreams.connection(serverName)!;
  const list = await (await connection.session(freshSignal())).tools(freshSignal());
  return pinDigest(
    connection.identity,
    list.tools.find(({ name }) => name === tool)!,
  );
}

async function executionOf(
  downstreams: Downstreams,
  id: string,
  args: JsonObject,
  over: CallOver,
): Promise<Execution> {
  const [serverName, tool] = id.split(':') as [string, string];
  const given = over.execution ?? {};
  return {
    capability: capability(serverName, tool, over.capability),
    args,
    context: {
      caller: { tenant: 't', principal: 'p', actor: 'a', roles: [], scopes: [], lane: 'default' },
      agentId: 'agent',
      sessionId: 'ses_1',
      runId: 'run_1',
      traceId: TRACE_ID,
      taskType: 'agent-session',
      delegation: NO_DELEGATION,
    },
    callId: 'call_1',
    outputBytes: 100_000,
    ...('pinDigest' in given ? {} : { pinDigest: await livePin(downstreams, serverName, tool) }),
    ...given,
  };
}

/** One of several processes over one store. */
export interface Beside {
  store: Store;
  instance: string;
  isAlive: (instance: string) => Promise<boolean>;
}

interface BenchBounds {
  idleMs?: number;
  maxOpen?: number;
  maxWaitMs?: number;
  beside?: Beside;
}

export function createBench(
  servers: DownstreamServer[],
  environment: Record<string, string | undefined> = process.env,
  clock: Clock = systemClock,
  over: Partial<CapabilitySessionControls> = {},
  { maxWaitMs, beside, ...pool }: BenchBounds = {},
  confine?: ConfineOptions,
): Bench {
  const directory = mkdtempSync(join(tmpdir(), 'capabilities-'));
  const stderr: string[] = [];
  const drifted: string[] = [];
  const listed: string[] = [];
  const sandbox = createSandbox({
    clock: systemClock,
    environment,
    inputGraceMs: 300,
    termGraceMs: 300,
    ...(confine === undefined ? {} : { confine }),
  });
  const downstreams = createDownstreams({
    servers: Object.fromEntries(servers.map((entry) => [entry.name, entry])),
    sandbox,
    sandboxRoot: directory,
    environment,
    clock,
    clientVersion: '0.0.0',
    ...pool,
    policy: {
      elicitation: true,
      sampling: over.sampling === 'client',
      roots: over.roots === 'client' ? 'client' : undefined,
    },
    onListed: (name) => listed.push(name),
    onStderr: (name, line) => stderr.push(`${name}: ${line}`),
  });
  const { controls } = sampleConfig();
  const store = beside?.store ?? createMemoryStore();
  const ledger = createLedger({ store, clock, ids: randomIds });
  const sessions = new LiveSessions({
    redact: (text) => text,
    ledger,
    clock,
    controls: { ...controls.capabilitySessions, ...over },
    owner: 'tests',
    instance: beside?.instance ?? 'inst_tests',
    policyDigest: 'policy',
    isAlive: beside?.isAlive ?? (async () => false),
  });
  const executor = createDownstreamExecutor({
    downstreams,
    sessions,
    clock,
    ids: randomIds,
    redactor: createRedactor({ secrets: [], fields: [], patterns: [] }),
    maxWaitMs: maxWaitMs ?? controls.maxWaitSeconds * 1000,
    onDrift: (name) => drifted.push(name),
  });
  return {
    sandbox,
    downstreams,
    executor,
    store,
    ledger,
    sessions,
    drifted,
    listed,
    stderr,
    directory,
    async call(id, args = {}, over = {}) {
      const io: CallIo = {
        progress: over.progress ?? (() => undefined),
        ...(over.ask === undefined ? {} : { ask: over.ask }),
        ...(over.log === undefined ? {} : { log: over.log }),
        signal: over.signal ?? freshSignal(),
      };
      return executor.execute(await executionOf(downstreams, id, args, over), io);
    },
    settled: () => sessions.settled(),
    async end() {
      await downstreams.close();
      await sessions.settled();
      expect(sandbox.live()).toBe(0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a test on its own children and proves afterwards that none of them is left. */
export async function withBench(
  servers: DownstreamServer[],
  test: (bench: Bench) => Promise<void>,
  environment?: Record<string, string | undefined>,
): Promise<void> {
  const bench = createBench(servers, environment);
  try {
    await test(bench);
  } finally {
    await bench.end();
  }
}

/** One that is dead and only waits to be reaped by init is not alive. */
export function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}

/** A pin store in memory that checks what it is given, as the file's own does. */
export function memoryPins(start: PinFile = EMPTY_PIN_FILE): PinStore & { file(): PinFile } {
  let file = start;
  return {
    file: () => file,
    read: async () => file,
    update: async (change) => {
      file = pinFileSchema.parse(structuredClone(change(file)));
      return file;
    },
  };
}

/** Resolves when `done` says so; looked at again after each turn of the event loop that did something. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}
