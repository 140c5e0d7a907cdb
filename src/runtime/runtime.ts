// Owns the joining of the rooms: store, gate, kernel, capabilities, pack and inspection become one runtime, once.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { asRuntimeError } from '../base/errors.ts';
import { randomIds } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';
import { createDownstreams } from '../capabilities/downstreams.ts';
import type { DownstreamOptions, Downstreams } from '../capabilities/downstreams.ts';
import { createDownstreamExecutor } from '../capabilities/executor.ts';
import type { PathTokens } from '../capabilities/pin-file.ts';
import { sessionCompanion } from '../capabilities/sessions/approval-companion.ts';
import { createLedger } from '../capabilities/sessions/ledger.ts';
import { LiveSessions } from '../capabilities/sessions/live.ts';
import { openGrants } from '../config/live-grants.ts';
import type { LiveGrants } from '../config/live-grants.ts';
import { configDrift } from '../config/load.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { capabilityPage, inspectCapability } from '../inspect/capabilities.ts';
import type { CatalogParts } from '../inspect/capabilities.ts';
import { health } from '../inspect/health.ts';
import type { HealthDeps } from '../inspect/health.ts';
import { inspectItem } from '../inspect/inspect.ts';
import { listPage } from '../inspect/lists.ts';
import type { Listed } from '../inspect/lists.ts';
import { createApprovals } from '../kernel/approvals/approvals.ts';
import { createKernel } from '../kernel/create-kernel.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { KernelDeps } from '../kernel/deps.ts';
import { createRedactor } from '../kernel/evidence/redact.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import { startInstance } from '../kernel/instance.ts';
import type { Instance } from '../kernel/instance.ts';
import { createGate } from '../kernel/policy/gate.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Caller } from '../kernel/identity.ts';
import { endWithProcess } from '../kernel/sandbox/process-end.ts';
import type { ConfineOptions } from '../kernel/sandbox/launch.ts';
import { createSandbox } from '../kernel/sandbox/spawn.ts';
import { createPack } from '../pack/pack.ts';
import { createPasts } from '../pack/sessions/past.ts';
import type { SessionCopies } from '../pack/managed/copy.ts';
import type { Pack } from '../pack/pack.ts';
import type { Store } from '../store/contract.ts';
import { sessionCopyFiles } from '../store/documents/session-copies.ts';
import type { SessionCopyFiles } from '../store/documents/session-copies.ts';
import { fileTenantKeys } from '../store/sealing.ts';
import { openSqliteStore } from '../store/sqlite/open.ts';
import { CallLines } from './call-lines.ts';
import { approvalPrompt, deliverApproval, exposedTools } from './approval-desk.ts';
import { callCapability, callTool, resumeSession } from './calls.ts';
import type { CallParts } from './calls.ts';
import type { InspectKind, Inspection, ListPage, ListQuery } from './contract.ts';
import { explainPolicy } from './explain.ts';
import type { Log, RuntimeHandle, RuntimeOptions } from './options.ts';
import { lastingWork, wakeAfter, withWork } from './lasting-work.ts';
import type { LastingWork } from './lasting-work.ts';
import { assertPackIsPinned } from './pack-manifest.ts';
import { openPinning } from './pinning.ts';
import type { Pinning } from './pinning.ts';
import { createGovernedReads } from './reads.ts';
import { workspaceRecorder } from './workspace-record.ts';

const VERSION = '0.1.0';
const INSTANCE_LEASE_MS = 30_000;
const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');

interface Parts extends CallParts {
  options: RuntimeOptions;
  store: Store;
  clock: Clock;
  downstreams: Downstreams;
  pinning: Pinning;
  redactor: Redactor;
  sessions: LiveSessions;
  /** From then on the end of the process is none of our children's business. */
  leaveProcess: () => void;
  instance: Instance;
  copyFiles: SessionCopyFiles;
  /** Whose configuration everything here is judged by. */
  grants: LiveGrants;
}

function pathTokens(options: RuntimeOptions): PathTokens {
  return [
    { path: options.config.policy.sandbox.root, token: '{sandbox}' },
    { path: options.workspace, token: '{workspace}' },
    { path: PACKAGE_ROOT, token: '{package}' },
  ];
}

/** Values that must never be written: the keys that model profiles name, and what servers are given from outside. */
function redactorOf(config: RuntimeConfig, env: RuntimeOptions['env']): Redactor {
  const names = [
    ...Object.values(config.models.profiles).map((profile) => profile.apiKeyEnv),
    ...Object.values(config.servers).flatMap((server) =>
      [...Object.values(server.env), ...Object.values(server.headers ?? {})].map((source) =>
        'fromEnv' in source ? source.fromEnv : undefined,
      ),
    ),
  ];
  const secrets = names.flatMap((name) => (name === undefined ? [] : [env[name] ?? '']));
  return createRedactor({ secrets, ...config.runtime.redaction });
}

function openStore(options: RuntimeOptions, clock: Clock, ids: Ids): Promise<Store> {
  const keys = fileTenantKeys(join(options.stateDirectory, 'keys'), ids);
  return openSqliteStore({ path: join(options.workspace, '.agent-runtime', 'runtime.db'), keys, clock, ids });
}

function kernelOf(
  parts: Omit<Parts, 'kernel' | 'pack' | 'leaveProcess'>,
  options: RuntimeOptions,
  recorded: Pack['recorded'],
): Kernel {
  const { config, store, gate, clock, ids, instance, pinning, downstreams } = parts;
  const downstream = createDownstreamExecutor({
    downstreams,
    sessions: parts.sessions,
    clock,
    ids,
    redactor: parts.redactor,
    maxWaitMs: config.controls.maxWaitSeconds * 1000,
    onDrift: (server) => {
      pinning.onDrift(server);
    },
    held: (server) => pinning.directory.held(server),
  });
  return createKernel({
    config,
    store,
    gate,
    approvals: createApprovals(
      store,
      sessionCompanion(parts.sessions, config.servers, (name, who) => downstreams.poolKey(name, who)),
    ),
    past: createPasts(store, config),
    directory: pinning.directory,
    refreshGrants: () => parts.grants.refresh(),
    executors: [downstream, ...(options.executors ?? [])],
    ...reinitialization(parts),
    redactor: parts.redactor,
    clock,
    ids,
    instance: instance.id,
    isAlive: (other) => instance.isAlive(other),
    recorded,
  });
}

/** Only where the configuration says so: nobody else's call looks anything up. */
function reinitialization({
  config,
  sessions,
  downstreams,
}: Pick<Parts, 'config' | 'sessions' | 'downstreams'>): Pick<KernelDeps, 'asksToReinitialize'> {
  if (!config.controls.capabilitySessions.reinitRequiresApproval) return {};
  return {
    asksToReinitialize: async ({ caller }, server) => {
      const poolKey = downstreams.poolKey(server, caller);
      return poolKey !== undefined && sessions.isLost(caller, poolKey);
    },
  };
}

/** A copy that cannot be written is said in the log; the journal has everything that it would have shown. */
function copiesOf({ copyFiles }: Pick<Parts, 'copyFiles'>, log: Log): SessionCopies {
  return {
    async write(sessionId, document) {
      try {
        await copyFiles.write(sessionId, document);
      } catch (thrown) {
        log('warn', 'the readable copy of a session was not written', {
          session_id: sessionId,
          error: asRuntimeError(thrown).message,
        });
        throw thrown;
      }
    },
  };
}

function packOf(parts: Omit<Parts, 'pack' | 'leaveProcess'>, options: RuntimeOptions, log: Log): Pack {
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
      (async (profile) => {
        // Loaded at the first turn; providers are many modules.
        const { createModelProvider } = await import('../providers/create.ts');
        return createModelProvider(profile, { env: options.env, clock, random });
      }),
    instance: instance.id,
    isAlive: (other) => instance.isAlive(other),
    refreshGrants: () => parts.grants.refresh(),
    copies: copiesOf(parts, log),
  });
}

/** State, configuration and keys are empty in every sandbox, whatever its profile binds. */
function confineOptions(options: RuntimeOptions, ids: Ids, log: Log): ConfineOptions {
  const { config, workspace, stateDirectory } = options;
  const state = join(workspace, '.agent-runtime');
  return {
    masked: [state, config.directory, join(dirname(config.directory), '.agent-runtime'), stateDirectory],
    packageRoot: PACKAGE_ROOT,
    homes: join(state, 'sandboxes'),
    ids,
    onUnconfined: (server, reason) => {
      log('warn', 'a server runs without the sandbox that its profile asks for', { server, reason });
    },
  };
}

/** For whom this process looks at servers, and how many connections it keeps for how long. */
function poolOptions({
  policy,
  controls,
}: RuntimeConfig): Pick<DownstreamOptions, 'policyDigest' | 'idleMs' | 'maxOpen' | 'policy'> {
  const { capabilitySessions: sessions } = controls;
  const root = { uri: pathToFileURL(policy.sandbox.root).href, name: 'sandbox' };
  return {
    policyDigest: policy.digest,
    idleMs: sessions.idleSeconds * 1000,
    maxOpen: sessions.maxOpen,
    policy: {
      elicitation: sessions.elicitation,
      sampling: sessions.sampling === 'client',
      roots: { refuse: undefined, sandbox: [root], client: 'client' as const }[sessions.roots],
    },
  };
}

function liveSessions(
  { config, store, clock, ids, instance }: Pick<Parts, 'config' | 'store' | 'clock' | 'ids' | 'instance'>,
  log: Log,
): LiveSessions {
  return new LiveSessions({
    ledger: createLedger({ store, clock, ids }),
    clock,
    controls: config.controls.capabilitySessions,
    owner: config.controls.capabilitySessionOwner,
    instance: instance.id,
    policyDigest: config.policy.digest,
    isAlive: (other) => instance.isAlive(other),
    onUnrecorded: (what, thrown) => {
      log('error', `${what} was not recorded`, { error: asRuntimeError(thrown).message });
    },
  });
}

async function joinRooms(options: RuntimeOptions): Promise<Parts> {
  const { env } = options;
  const grants = await openGrants(options.config);
  const { config } = grants;
  const clock = options.clock ?? systemClock;
  const ids = options.ids ?? randomIds;
  const log: Log = options.log ?? (() => undefined);
  assertPackIsPinned(VERSION);
  const gate: Gate = createGate(config); // before anything is opened: a policy that does not compile starts nothing
  mkdirSync(config.policy.sandbox.root, { recursive: true, mode: 0o700 });
  const store = options.store ?? (await openStore(options, clock, ids));
  const leaseMs = options.instanceLeaseMs ?? INSTANCE_LEASE_MS;
  const instance = await startInstance({ store, clock, id: ids.next('inst'), leaseMs });
  const tokens = pathTokens(options);
  const redactor = redactorOf(config, env);
  const sandbox = createSandbox({ clock, environment: env, confine: confineOptions(options, ids, log) });
  const downstreams = createDownstreams({
    servers: config.servers,
    sandbox,
    environment: env,
    clock,
    clientVersion: VERSION,
    pathTokens: tokens,
    ...poolOptions(config),
    onListed: (server, tools) => {
      pinning.onListed(server, tools);
    },
    onStderr: (server, line) => {
      log('debug', line, { server });
    },
  });
  const pinning: Pinning = await openPinning({
    config,
    workspace: options.workspace,
    tokens,
    clock,
    log,
    record: workspaceRecorder({ store, clock, tenant: config.identity.stdio.tenant, redactor }),
    downstreams: () => downstreams,
  });
  const sessions = liveSessions({ config, store, clock, ids, instance }, log);
  const copyFiles = sessionCopyFiles(join(options.workspace, '.agent-runtime', 'workflow'));
  const base = {
    ...{ options, config, store, gate, clock, ids, grants },
    instance,
    pinning,
    downstreams,
    redactor,
    sessions,
    lines: new CallLines({ store, clock, ledger: sessions.parts.ledger, config }),
    copyFiles,
  };
  const kernel = kernelOf(base, options, (appends, heads) => {
    pack.recorded(appends, heads);
  });
  const pack = packOf({ ...base, kernel }, options, log);
  return { ...base, kernel, pack, leaveProcess: endWithProcess(sandbox) };
}

/** What health and the catalog are read from. */
function inspectionOf(parts: Parts): { healthDeps: HealthDeps; catalog: CatalogParts } {
  const { options, config, store, gate, pinning, clock } = parts;
  const healthDeps = {
    config,
    store,
    directory: pinning.directory,
    clock,
    hasEnv: (name: string) => (options.env[name] ?? '') !== '',
    isAlive: (instance: string) => parts.instance.isAlive(instance),
    drift: () => configDrift(config),
    failureOf: (server: string) => parts.downstreams.standing(server).failure,
  };
  const catalog: CatalogParts = {
    config,
    directory: pinning.directory,
    gate,
    standing: (server) => parts.downstreams.standing(server),
  };
  return { healthDeps, catalog };
}

async function inspectOne(
  { store, clock }: Parts,
  catalog: CatalogParts,
  caller: Caller,
  { kind, id }: { kind: InspectKind; id: string },
): Promise<Inspection> {
  const found =
    kind === 'capability'
      ? inspectCapability(catalog, caller, id)
      : await inspectItem({ store, now: clock.now() }, caller, kind, id);
  return { ...found, kind };
}

/** Last what the others still need: the sign of life and the store. */
async function closeAll(parts: Parts, background: LastingWork): Promise<void> {
  const { options, store, pack, pinning } = parts;
  await pinning.stop();
  await background.stop();
  await parts.downstreams.close();
  await parts.sessions.settled();
  await pack.managed.settled();
  parts.leaveProcess();
  await parts.instance.stop().catch(() => undefined);
  if (options.store === undefined) await store.close();
}

async function rebuildSnapshot(
  { pack, copyFiles }: Parts,
  caller: Caller,
  id: string,
): Promise<{ file: string }> {
  await pack.managed.rebuildSnapshot(caller, id);
  return { file: copyFiles.pathOf(id) };
}

/** One runtime over a workspace. Throws CONFIGURATION_ERROR or a STORE_… code before any child process is started. */
export async function createRuntime(options: RuntimeOptions): Promise<RuntimeHandle> {
  const parts = await joinRooms(options);
  const { config, store, kernel, gate, pack, pinning, clock } = parts;
  const { healthDeps, catalog } = inspectionOf(parts);
  const list = (kind: Listed, caller: Caller, query: ListQuery): Promise<ListPage> =>
    listPage({ store, caller, now: clock.now() }, kind, query);
  const background = lastingWork(parts);
  let closing: Promise<void> | undefined;
  return {
    config,
    store,
    kernel,
    gate,
    directory: pinning.directory,
    executeTurn: (caller, input, io) => pack.executeTurn(caller, input, io),
    callTool: (caller, input, io) => callTool(parts, caller, input, io),
    callCapability: (caller, call, io) => callCapability(parts, caller, call, io),
    ...background.work,
    resumeSession: (caller, input, io) =>
      resumeSession({ ...parts, work: background.work }, caller, input, io),
    startWorker: () => background.startWorker(),
    managed: pack.managed,
    workflows: () => pack.workflows(),
    rebuildSnapshot: (caller, id) => rebuildSnapshot(parts, caller, id),
    explainPolicy: (caller, call) => explainPolicy(parts, caller, call),
    exposedTools: (caller) => exposedTools(parts, caller),
    reads: createGovernedReads(parts),
    approvalPrompt: (caller, id) => approvalPrompt(kernel, caller, id),
    async deliverApproval(answerer, id, delivery, actor) {
      const done = await deliverApproval(kernel, answerer, id, { delivery, actor });
      if (done.moved) await wakeAfter(parts, background.queue, answerer.tenant, id);
      return done;
    },
    listRequests: (caller, query) => list('request', caller, query),
    listSessions: (caller, query) => list('session', caller, query),
    async listApprovals(caller, query) {
      await kernel.settleApprovals(caller.tenant);
      return list('approval', caller, query);
    },
    listCapabilitySessions: (caller, query) => list('capability_session', caller, query),
    async listCapabilities(_caller, query) {
      await pinning.refresh();
      return capabilityPage(catalog, query);
    },
    async inspect(caller, kind, id) {
      return withWork(background.work, caller, await inspectOne(parts, catalog, caller, { kind, id }));
    },
    async getHealth(caller) {
      await pinning.refresh();
      // Health answers also when the store does not.
      await kernel.settleApprovals(caller.tenant).catch(() => undefined);
      return health(healthDeps, caller);
    },
    refreshTools: () => pinning.refresh(),
    onToolsChanged: (listener) => pinning.onToolsChanged(listener),
    pin: (server, expected) => pinning.pin(server, expected),
    close: () => (closing ??= closeAll(parts, background)),
  };
}
