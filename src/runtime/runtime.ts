// Owns the joining of the rooms: store, gate, kernel, capabilities, pack and inspection become one runtime, once.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { randomIds } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';
import { createDownstreams } from '../capabilities/downstreams.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import { createDownstreamExecutor } from '../capabilities/executor.ts';
import type { PathTokens } from '../capabilities/pin-file.ts';
import { configDrift } from '../config/load.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { capabilityViews } from '../inspect/capabilities.ts';
import { health } from '../inspect/health.ts';
import { inspectItem } from '../inspect/inspect.ts';
import { approvalView, requestView, sessionView } from '../inspect/views.ts';
import { rowQuery } from '../inspect/visible.ts';
import type { PageQuery } from '../inspect/visible.ts';
import { createApprovals } from '../kernel/approvals/approvals.ts';
import { createKernel } from '../kernel/create-kernel.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import { createRedactor } from '../kernel/evidence/redact.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import { startInstance } from '../kernel/instance.ts';
import type { Instance } from '../kernel/instance.ts';
import { createGate } from '../kernel/policy/gate.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Caller } from '../kernel/identity.ts';
import { createSandbox } from '../kernel/sandbox/spawn.ts';
import { createPack } from '../pack/index.ts';
import type { Pack } from '../pack/index.ts';
import { createModelProvider } from '../providers/create.ts';
import type { RowKind, Store, StoredRow } from '../store/contract.ts';
import { fileTenantKeys } from '../store/sealing.ts';
import { openSqliteStore } from '../store/sqlite/open.ts';
import { approvalPrompt, exposedTools } from './approval-desk.ts';
import { callCapability, callTool, explainPolicy } from './calls.ts';
import type { CallParts } from './calls.ts';
import type { ListPage } from './contract.ts';
import type { Log, RuntimeHandle, RuntimeOptions } from './options.ts';
import { openPinning } from './pinning.ts';
import type { Pinning } from './pinning.ts';

const VERSION = '0.1.0';
const INSTANCE_LEASE_MS = 30_000;

interface Parts extends CallParts {
  options: RuntimeOptions;
  store: Store;
  clock: Clock;
  downstreams: Downstreams;
  pinning: Pinning;
  instance: Instance;
}

function pathTokens(options: RuntimeOptions): PathTokens {
  return [
    { path: options.config.policy.sandbox.root, token: '{sandbox}' },
    { path: options.workspace, token: '{workspace}' },
    { path: fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, ''), token: '{package}' },
  ];
}

/** Values that must never be written: the keys that model profiles name, and what servers are given from outside. */
function redactorOf(config: RuntimeConfig, env: RuntimeOptions['env']): Redactor {
  const names = [
    ...Object.values(config.models.profiles).map((profile) => profile.apiKeyEnv),
    ...Object.values(config.servers).flatMap((server) =>
      Object.values(server.env).map((source) => ('fromEnv' in source ? source.fromEnv : undefined)),
    ),
  ];
  const secrets = names.flatMap((name) => (name === undefined ? [] : [env[name] ?? '']));
  return createRedactor({ secrets, ...config.runtime.redaction });
}

function openStore(options: RuntimeOptions, clock: Clock, ids: Ids): Promise<Store> {
  const keys = fileTenantKeys(join(options.stateDirectory, 'keys'), ids);
  return openSqliteStore({ path: join(options.workspace, '.agent-runtime', 'runtime.db'), keys, clock, ids });
}

function kernelOf(parts: Omit<Parts, 'kernel' | 'pack'>, options: RuntimeOptions): Kernel {
  const { config, store, gate, clock, ids, instance, pinning, downstreams } = parts;
  const downstream = createDownstreamExecutor({
    downstreams,
    clock,
    onDrift: (server) => {
      pinning.onDrift(server);
    },
  });
  return createKernel({
    config,
    store,
    gate,
    approvals: createApprovals(store),
    directory: pinning.directory,
    executors: [downstream, ...(options.executors ?? [])],
    redactor: redactorOf(config, options.env),
    clock,
    ids,
    instance: instance.id,
    isAlive: (other) => instance.isAlive(other),
  });
}

function packOf(parts: Omit<Parts, 'pack'>, options: RuntimeOptions): Pack {
  const { config, store, kernel, clock, ids, instance } = parts;
  const random = (): number => Buffer.from(ids.bytes(4)).readUInt32BE() / 2 ** 32;
  return createPack({
    config,
    store,
    kernel,
    clock,
    ids,
    model:
      options.createProvider ??
      ((profile) => createModelProvider(profile, { env: options.env, clock, random })),
    instance: instance.id,
  });
}

async function joinRooms(options: RuntimeOptions): Promise<Parts> {
  const { config, env } = options;
  const clock = options.clock ?? systemClock;
  const ids = options.ids ?? randomIds;
  const log: Log = options.log ?? (() => undefined);
  const gate: Gate = createGate(config); // before anything is opened: a policy that does not compile starts nothing
  mkdirSync(config.policy.sandbox.root, { recursive: true, mode: 0o700 });
  const store = options.store ?? (await openStore(options, clock, ids));
  const leaseMs = options.instanceLeaseMs ?? INSTANCE_LEASE_MS;
  const instance = await startInstance({ store, clock, id: ids.next('inst'), leaseMs });
  const tokens = pathTokens(options);
  const downstreams = createDownstreams({
    servers: config.servers,
    sandbox: createSandbox({ clock, environment: env }),
    environment: env,
    clock,
    clientVersion: VERSION,
    pathTokens: tokens,
    onStderr: (server, line) => {
      log('debug', line, { server });
    },
  });
  const pinning = await openPinning({
    config,
    workspace: options.workspace,
    tokens,
    log,
    downstreams: () => downstreams,
  });
  const base = { options, config, store, gate, clock, ids, instance, pinning, downstreams };
  const kernel = kernelOf(base, options);
  return { ...base, kernel, pack: packOf({ ...base, kernel }, options) };
}

async function list(
  store: Store,
  caller: Caller,
  query: PageQuery,
  of: { kind: RowKind; view: (row: StoredRow) => ListPage['items'][number] },
): Promise<ListPage> {
  const page = await store.list(rowQuery(caller, of.kind, query));
  const { tool, session_id: session } = query.filter ?? {};
  const items = page.items
    .map(of.view)
    .filter((item) => tool === undefined || item.tool === tool)
    .filter((item) => session === undefined || item.session_id === session);
  return { items, ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }) };
}

/** One runtime over a workspace. Throws CONFIGURATION_ERROR or a STORE_… code before any child process is started. */
export async function createRuntime(options: RuntimeOptions): Promise<RuntimeHandle> {
  const parts = await joinRooms(options);
  const { config, store, kernel, gate, pack, pinning, clock } = parts;
  const healthDeps = {
    config,
    store,
    directory: pinning.directory,
    clock,
    hasEnv: (name: string) => (options.env[name] ?? '') !== '',
    drift: () => configDrift(config),
  };
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await parts.downstreams.close();
    await parts.instance.stop().catch(() => undefined);
    if (options.store === undefined) await store.close();
  };
  return {
    config,
    store,
    kernel,
    gate,
    directory: pinning.directory,
    executeTurn: (caller, input, io) => pack.executeTurn(caller, input, io),
    callTool: (caller, input, io) => callTool(parts, caller, input, io),
    callCapability: (caller, call, io) => callCapability(parts, caller, call, io),
    explainPolicy: (caller, call) => explainPolicy(parts, caller, call),
    exposedTools: (caller) => exposedTools(parts, caller),
    approvalPrompt: (caller, id) => approvalPrompt(kernel, caller, id),
    async deliverApproval(answerer, id, delivery, actor) {
      const done = await kernel.deliver(answerer, id, delivery, actor);
      return {
        state: done.approval.state,
        moved: done.moved,
        ...(done.why === undefined ? {} : { why: done.why }),
      };
    },
    listRequests: (caller, query) => list(store, caller, query, { kind: 'request', view: requestView }),
    listSessions: (caller, query) => list(store, caller, query, { kind: 'session', view: sessionView }),
    async listApprovals(caller, query) {
      await kernel.settleApprovals(caller.tenant);
      return list(store, caller, query, { kind: 'approval', view: approvalView });
    },
    listCapabilities: () => Promise.resolve({ items: capabilityViews(config, pinning.directory) }),
    async inspect(caller, kind, id) {
      if (kind === 'approval') await kernel.approvalFor(caller.tenant, id);
      return { ...(await inspectItem(store, caller, kind, id)), kind };
    },
    async getHealth(caller) {
      // Health answers also when the store does not.
      await kernel.settleApprovals(caller.tenant).catch(() => undefined);
      return health(healthDeps, caller);
    },
    onToolsChanged: (listener) => pinning.onToolsChanged(listener),
    pin: (server, write) => pinning.pin(server, write),
    close: () => (closing ??= close()),
  };
}
