// Owns the joining of the rooms: store, gate, kernel, capabilities, pack and inspection become one runtime, once.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { asRuntimeError } from '../base/errors.ts';
import { randomIds } from '../base/ids.ts';
import type { Ids } from '../base/ids.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import { createDownstreamExecutor } from '../capabilities/executor.ts';
import { sessionCompanion } from '../capabilities/sessions/approval-companion.ts';
import { createLedger } from '../capabilities/sessions/ledger.ts';
import { LiveSessions } from '../capabilities/sessions/live.ts';
import { openGrants } from '../config/live-grants.ts';
import type { LiveGrants } from '../config/live-grants.ts';
import { configDrift } from '../config/load.ts';
import { capabilityPage, inspectCapability } from '../inspect/capabilities.ts';
import type { CatalogParts } from '../inspect/capabilities.ts';
import { health } from '../inspect/health.ts';
import type { HealthDeps } from '../inspect/health-check.ts';
import { inspectItem } from '../inspect/inspect.ts';
import { listPage } from '../inspect/lists.ts';
import type { Listed } from '../inspect/lists.ts';
import { LastResults } from '../kernel/budgets/last-results.ts';
import { createApprovals } from '../kernel/approvals/approvals.ts';
import { createKernel } from '../kernel/create-kernel.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { KernelDeps } from '../kernel/deps.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import { startInstance } from '../kernel/instance.ts';
import type { Instance } from '../kernel/instance.ts';
import { createGate } from '../kernel/policy/gate.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Caller } from '../kernel/identity.ts';
import { endWithProcess } from '../kernel/sandbox/process-end.ts';
import { createPack } from '../pack/pack.ts';
import { openDefaults } from '../pack/sessions/default-sessions.ts';
import type { OpenDefaults } from '../pack/sessions/default-sessions.ts';
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
import type { Pinning } from './pinning.ts';
import { createGovernedReads } from './reads.ts';
import { redactorOf, sandboxOf } from './room-options.ts';
import { joinServers } from './servers.ts';
import { leaseOf, signsOfLife } from './signs-of-life.ts';
import type { Before, Joined } from './joined.ts';

const VERSION = '0.1.0';

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
  defaults: OpenDefaults;
  results: LastResults;
  /** Whose configuration everything here is judged by. */
  grants: LiveGrants;
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
    results: parts.results,
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
}: Pick<Parts, 'config' | 'sessions' | 'downstreams'>): Pick<KernelDeps, 'lostConnection'> {
  if (!config.controls.capabilitySessions.reinitRequiresApproval) return {};
  return {
    lostConnection: async ({ caller }, server) => {
      const poolKey = downstreams.poolKey(server, caller);
      return poolKey === undefined ? undefined : sessions.lost(caller, poolKey);
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
  let providers: typeof import('../providers/create.ts') | undefined;
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
        providers ??= await import('../providers/create.ts');
        return providers.createModelProvider(profile, { env: options.env, clock, random });
      }),
    instance: instance.id,
    defaults: parts.defaults,
    isAlive: (other) => instance.isAlive(other),
    refreshGrants: () => parts.grants.refresh(),
    copies: copiesOf(parts, log),
  });
}

function liveSessions(
  parts: Pick<Parts, 'config' | 'store' | 'clock' | 'ids' | 'instance' | 'redactor'>,
  log: Log,
): LiveSessions {
  const { config, store, clock, ids, instance, redactor } = parts;
  return new LiveSessions({
    ledger: createLedger({ store, clock, ids }),
    clock,
    controls: config.controls.capabilitySessions,
    owner: config.controls.capabilitySessionOwner,
    instance: instance.id,
    policyDigest: config.policy.digest,
    isAlive: (other) => instance.isAlive(other),
    redact: (text) => redactor.text(text),
    onUnrecorded: (what, thrown) => {
      log('error', `${what} was not recorded`, { error: asRuntimeError(thrown).message });
    },
  });
}

/** What was begun and has to be ended, the last first, where the rest cannot be. */
type Begun = (() => Promise<void>)[];

async function roomsOver(options: RuntimeOptions, before: Before | undefined, begun: Begun): Promise<Parts> {
  const { env } = options;
  const grants = await openGrants(options.config);
  const { config } = grants;
  const clock = options.clock ?? systemClock;
  const ids = options.ids ?? randomIds;
  const log: Log = options.log ?? (() => undefined);
  assertPackIsPinned(VERSION);
  const redactor = await redactorOf(config, env);
  // Before anything is opened: a policy that does not compile starts nothing.
  const gate: Gate = createGate(config, { redact: (text) => redactor.text(text) });
  mkdirSync(config.policy.sandbox.root, { recursive: true, mode: 0o700 });
  const given = before?.store ?? options.store;
  const store = given ?? (await openStore(options, clock, ids));
  if (given === undefined) begun.push(() => store.close());
  const sandbox = sandboxOf(options, { clock, ids }, log);
  const servers = await joinServers({
    ...{ options, config, store, clock, gate, redactor, sandbox, log },
    clientVersion: VERSION,
  });
  begun.push(() => servers.pinning.stop());
  const id = ids.next('inst');
  // From here on nothing is waited for: the kernel is there before the first renewal.
  const instance = await startInstance({
    ...{ store, clock, id, leaseMs: leaseOf(options) },
    ...signsOfLife(() => kernel, log),
  });
  begun.push(() => instance.stop());
  const sessions = liveSessions({ config, store, clock, ids, instance, redactor }, log);
  const copyFiles = sessionCopyFiles(join(options.workspace, '.agent-runtime', 'workflow'));
  const base = {
    ...{ options, config, store, gate, clock, ids, grants, instance },
    ...servers,
    redactor,
    sessions,
    lines: new CallLines({ store, clock, ledger: sessions.parts.ledger, config, open: before?.lines }),
    defaults: before?.defaults ?? openDefaults(instance.id),
    results: before?.results ?? new LastResults(),
    copyFiles,
  };
  const kernel = kernelOf(base, options, (appends, heads) => {
    pack.recorded(appends, heads);
  });
  const pack = packOf({ ...base, kernel }, options, log);
  return { ...base, kernel, pack, leaveProcess: endWithProcess(sandbox) };
}

/** All of it, or nothing that goes on: no timer, no sign of life, no journal that was opened here. */
async function joinRooms(options: RuntimeOptions, before?: Before): Promise<Parts> {
  const begun: Begun = [];
  try {
    return await roomsOver(options, before, begun);
  } catch (thrown) {
    for (const end of begun.reverse()) await end().catch(() => undefined);
    throw thrown;
  }
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

/** Last what the others still need: the sign of life. The store is the caller's. */
async function closeAll(parts: Parts, background: LastingWork): Promise<void> {
  const { pack, pinning } = parts;
  await pinning.stop();
  await background.stop();
  await parts.downstreams.close();
  await parts.sessions.settled();
  await pack.managed.settled();
  parts.leaveProcess();
  await parts.kernel.settleLeft(); // a last time: whoever comes after knows nothing of it
  await parts.instance.stop().catch(() => undefined);
}

async function rebuildSnapshot(
  { pack, copyFiles }: Parts,
  caller: Caller,
  id: string,
): Promise<{ file: string }> {
  await pack.managed.rebuildSnapshot(caller, id);
  return { file: copyFiles.pathOf(id) };
}

function handleOf(parts: Parts, background: LastingWork): Joined['handle'] {
  const { config, store, kernel, gate, pack, pinning, clock } = parts;
  const { healthDeps, catalog } = inspectionOf(parts);
  const list = (kind: Listed, caller: Caller, query: ListQuery): Promise<ListPage> =>
    listPage({ store, caller, now: clock.now() }, kind, query);
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
  };
}

/** The rooms over one configuration, with a sign of life of their own: to whatever was joined before, another process. */
async function joinOver(options: RuntimeOptions, before?: Before): Promise<Joined> {
  const parts = await joinRooms(options, before);
  const background = lastingWork(parts);
  return {
    handle: handleOf(parts, background),
    lines: parts.lines,
    defaults: parts.defaults,
    results: parts.results,
    stopWorker: () => background.stop(),
    close: () => closeAll(parts, background),
  };
}

/** One runtime over a workspace. Throws CONFIGURATION_ERROR or a STORE_… code before any child process is started. */
export async function createRuntime(options: RuntimeOptions): Promise<RuntimeHandle> {
  const joined = await joinOver(options);
  const { store } = joined.handle;
  const closeStore = options.store === undefined ? () => store.close() : () => Promise.resolve();
  if (options.configSource !== undefined) {
    const { openReloadable } = await import('./reloadable.ts');
    return openReloadable({
      options,
      source: options.configSource,
      first: joined,
      join: joinOver,
      closeStore,
    });
  }
  let closing: Promise<void> | undefined;
  return { ...joined.handle, close: () => (closing ??= joined.close().then(closeStore)) };
}
