// Owns `doctor`: looks at this machine and this workspace, says what is wrong and what to do. Starts no server unless told.
import { constants, existsSync, statSync } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { asRuntimeError, ERRORS } from '../../base/errors.ts';
import { configDrift } from '../../config/load.ts';
import { judgeTrust } from '../../config/trust.ts';
import type { DownstreamServer, RuntimeConfig } from '../../config/types.ts';
import { beforeFirstUse, health } from '../../inspect/health.ts';
import type { Check } from '../../inspect/health-check.ts';
import { isInstanceAlive } from '../../kernel/instance.ts';
import { conflictText } from '../../kernel/policy/approver-conflicts.ts';
import { createGate } from '../../kernel/policy/gate.ts';
import type { Gate } from '../../kernel/policy/gate.ts';
import { findProgram, lookForMeans } from '../../kernel/sandbox/means.ts';
import { memoryTenantKeys } from '../../store/sealing.ts';
import { openSqliteStore } from '../../store/sqlite/open.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { fileFault } from '../file-fault.ts';
import { localCaller } from '../identity.ts';
import { createLog } from '../log.ts';
import { withStoreIfAny } from '../open-store.ts';
import { readDirectory } from '../pins.ts';
import { cell, table } from '../print.ts';
import { loadAny, openTrustStore } from '../trusted-config.ts';

export interface DoctorOptions extends CommonOptions {
  start?: boolean;
}

const LEAST_NODE = [20, 19] as const;

function ok(check: string, detail: string): Check {
  return { check, status: 'ok', detail };
}

function problem(check: string, status: 'fail' | 'warn', detail: string, action: string): Check {
  return { check, status, detail, action };
}

function nodeVersion(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [least, leastMinor] = LEAST_NODE;
  return major > least || (major === least && minor >= leastMinor)
    ? ok('node', process.versions.node)
    : problem(
        'node',
        'fail',
        `${process.versions.node} is too old`,
        `Install Node ${LEAST_NODE.join('.')} or newer.`,
      );
}

async function sqlite({ clock, ids }: Context): Promise<Check> {
  const directory = await mkdtemp(join(tmpdir(), 'agent-runtime-doctor-'));
  try {
    const path = join(directory, 'probe.db');
    const store = await openSqliteStore({ path, keys: memoryTenantKeys(ids), clock, ids });
    const { writable, schemaVersion } = await store.report();
    await store.close();
    return writable
      ? ok('sqlite', `works, schema ${schemaVersion}`)
      : problem('sqlite', 'fail', 'opens but cannot write', `Check the space in ${tmpdir()}.`);
  } catch (error) {
    const action = 'Install the package again on this platform (its database is native code).';
    return problem('sqlite', 'fail', asRuntimeError(error).message, action);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What this machine can confine with; whether anything is confined is the configuration's word. */
async function sandbox(context: Context): Promise<Check> {
  const { bubblewrap, prlimit, processesExempt } = await lookForMeans(context.env);
  const missing = [bubblewrap, prlimit].flatMap((one) => ('why' in one ? [one.why] : []));
  if (missing.length > 0) {
    const detail = `${missing.join('; ')}; a server with a sandbox_profile is refused, or runs without it if missing says warn`;
    const action =
      process.platform === 'linux'
        ? 'Install bubblewrap and util-linux, and allow unprivileged user namespaces.'
        : 'Run those servers on Linux.';
    return problem('sandbox', 'warn', detail, action);
  }
  const means = `bubblewrap confines files, environment and network; prlimit memory, processor time and files`;
  return ok(
    'sandbox',
    processesExempt === undefined
      ? `${means} and processes`
      : `${means}, but not the number of processes: ${processesExempt}`,
  );
}

/** Which stdio servers are confined, and which run with all that their user may do. */
function confinedServers(config: RuntimeConfig): Check[] {
  const servers = Object.values(config.servers).filter(({ transport }) => transport === 'stdio');
  const free = servers.filter(({ sandbox: profile }) => profile === undefined).map(({ name }) => name);
  const lax = servers.filter(({ sandbox: profile }) => profile?.missing === 'warn').map(({ name }) => name);
  const held = servers
    .filter(({ sandbox: profile }) => profile?.missing === 'refuse')
    .map(({ name }) => name);
  const parts = [
    ...(held.length === 0 ? [] : [`confined or not started: ${held.join(', ')}`]),
    ...(lax.length === 0 ? [] : [`confined where this machine can: ${lax.join(', ')}`]),
    ...(free.length === 0 ? [] : [`not confined: ${free.join(', ')}`]),
  ];
  return parts.length === 0 ? [] : [ok('confinement', parts.join('; '))];
}

function stateDirectory(context: Context): Check {
  const path = context.stateDirectory;
  if (!existsSync(path)) return ok('state directory', `${path}, made at first use`);
  const found = statSync(path);
  if (!found.isDirectory()) {
    const action = 'Move it away, or set AGENT_RUNTIME_STATE to another folder.';
    return problem('state directory', 'fail', `${path} is not a directory`, action);
  }
  const { mode, uid } = found;
  if (process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.getuid?.())) {
    return problem('state directory', 'fail', `${path} is open to others`, `Run: chmod 700 ${path}`);
  }
  return ok('state directory', path);
}

async function trustOf(context: Context, config: RuntimeConfig): Promise<Check> {
  const { workspace, packageRoot } = context;
  const verdict = await judgeTrust(config, workspace, openTrustStore(context), packageRoot);
  return verdict === 'untrusted'
    ? problem('trust', 'fail', 'nobody here has trusted this configuration', 'Run `agent-runtime trust`.')
    : ok('trust', verdict);
}

function programOf(server: DownstreamServer, context: Context): Check {
  const check = `server ${server.name}`;
  if (server.transport === 'http') return ok(check, server.url ?? '');
  const found = findProgram(server.command ?? '', context.env['PATH']);
  if (found === undefined) {
    const action = `Install it, or correct the command of ${server.name} in servers.yaml.`;
    return problem(check, 'fail', `there is no program ${server.command ?? ''}`, action);
  }
  const missing = server.args.find((arg) => isAbsolute(arg) && /\.[cm]?js$/.test(arg) && !existsSync(arg));
  return missing === undefined
    ? ok(check, `${found} (not started; --start does)`)
    : problem(
        check,
        'fail',
        `there is no file ${missing}`,
        `Correct the arguments of ${server.name} in servers.yaml.`,
      );
}

/** Starts each server once and compares its tools with the pin. Only for a trusted configuration. */
async function startServers(context: Context, config: RuntimeConfig): Promise<Check[]> {
  const { createRuntime } = await import('../../runtime/runtime.ts');
  const { workspace, stateDirectory: state, env, clock, ids } = context;
  const { log } = createLog('error', env);
  const runtime = await createRuntime({ config, workspace, stateDirectory: state, env, clock, ids, log });
  const checks: Check[] = [];
  try {
    for (const server of Object.values(config.servers)) {
      const { name } = server;
      const check = `server ${name}`;
      try {
        const { tools, diff } = await runtime.pin(name);
        const action = `Read the difference, then run \`agent-runtime capabilities pin ${name}\`.`;
        checks.push(
          diff.length === 0
            ? ok(check, `starts, ${tools.length} tools, as pinned`)
            : problem(check, 'warn', `starts, but ${diff.length} line(s) differ from the pin`, action),
        );
      } catch (error) {
        const { code, message } = asRuntimeError(error);
        checks.push(problem(check, 'fail', message, ERRORS[code].remedy));
      }
    }
  } finally {
    await runtime.close();
  }
  return checks;
}

/** Whether the journal that is not there yet can be made. */
async function placeForJournal({ workspace }: Context): Promise<Check> {
  const own = join(workspace, '.agent-runtime');
  const place = existsSync(own) ? own : workspace;
  try {
    await access(place, constants.W_OK);
    return ok('storage', 'no journal yet; it is made at first use');
  } catch (thrown) {
    const { code = 'refused' } = thrown as NodeJS.ErrnoException;
    const action = 'Repair its permissions, or choose another --workspace.';
    return problem('storage', 'fail', `${place} cannot be written (${code}): no journal can be made`, action);
  }
}

/** What health says of a journal that exists; without one, what can be told without. */
async function journal(context: Context, config: RuntimeConfig): Promise<Check[]> {
  const directory = await readDirectory(context, config, {});
  return withStoreIfAny(context, async (store) => {
    const hasEnv = (name: string): boolean => (context.env[name] ?? '') !== '';
    if (store === undefined) {
      return [await placeForJournal(context), ...beforeFirstUse({ config, directory, hasEnv })];
    }
    const drift = (): ReturnType<typeof configDrift> => configDrift(config);
    const { clock, ids } = context;
    const asker = ids.next('inst');
    const isAlive = (instance: string): Promise<boolean> =>
      isInstanceAlive({ store, clock }, instance, asker);
    const deps = { config, store, directory, clock, hasEnv, drift, isAlive };
    return (await health(deps, localCaller(config.identity))).checks;
  });
}

/** What would be a denial at run time is told here. */
function approvers(gate: Gate): Check {
  const [first, ...more] = gate.conflicts();
  if (first === undefined)
    return ok('approvers', 'no tool is asked for two approvers that one approval cannot meet');
  const action =
    'Have rule and catalog name the same approver; `agent-runtime config check` lists each such pair.';
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return problem('approvers', 'warn', `${conflictText(first)}${others}`, action);
}

async function ofConfiguration(context: Context, start: boolean): Promise<Check[]> {
  const config = await loadAny(context);
  const gate = createGate(config);
  const trust = await trustOf(context, config);
  const mayStart = start && trust.status === 'ok';
  return [
    ok('configuration files', `${config.directory}, ${config.digest}`),
    trust,
    approvers(gate),
    ...confinedServers(config),
    ...(mayStart
      ? await startServers(context, config)
      : Object.values(config.servers).map((server) => programOf(server, context))),
    ...(await guarded('storage', () => journal(context, config))),
  ];
}

async function guarded(check: string, run: () => Check[] | Promise<Check[]>): Promise<Check[]> {
  try {
    return await run();
  } catch (thrown) {
    const { code, message } = fileFault(thrown) ?? asRuntimeError(thrown);
    return [problem(check, 'fail', message, ERRORS[code].remedy)];
  }
}

const RANK = { fail: 0, warn: 1, ok: 2 };

export async function doctor(context: Context, options: DoctorOptions): Promise<Exit> {
  const checks = [
    nodeVersion(),
    await sqlite(context),
    await sandbox(context),
    stateDirectory(context),
    ...(await guarded('configuration files', () => ofConfiguration(context, options.start === true))),
  ].sort((a, b) => RANK[a.status] - RANK[b.status]);
  const status = checks[0]?.status ?? 'ok';
  const { print } = context;
  const colors = { fail: 'red', warn: 'yellow', ok: 'green' } as const;
  await print.result({ status, checks }, async () => {
    const lines = await table(
      ['', 'check', 'detail'],
      checks.map((one) => [one.status, one.check, one.detail]),
      400,
    );
    const actions = checks.flatMap((one) =>
      one.action === undefined
        ? []
        : [`${print.style(colors[one.status], one.status)} ${one.check}: ${cell(one.action, 400)}`],
    );
    return [lines, ...(actions.length === 0 ? [] : ['', ...actions])].join('\n');
  });
  return status === 'fail' ? EXIT.check : EXIT.ok;
}
