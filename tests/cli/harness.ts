// The built command as a child process, in a workspace and a state directory of its own.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import { osPrincipal } from '../../src/cli/identity.ts';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { Store } from '../../src/store/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { CALLER, createRig, SESSION } from '../kernel/rig.ts';
import type { Rig } from '../kernel/rig.ts';
import { capability, look, note, sampleConfig } from '../kernel/sample-config.ts';

export const MAIN: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Place {
  workspace: string;
  state: string;
}

export async function place(): Promise<Place> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'cli-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const found = { workspace: join(root, 'work'), state: join(root, 'state') };
  await mkdir(found.workspace);
  return found;
}

export function environment(at: Place, over: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, AGENT_RUNTIME_STATE: at.state, ...over };
}

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: string;
}

/** Runs to the end with standard input closed (or the given text), so nothing is a terminal. */
export function run(at: Place, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? at.workspace,
      env: environment(at, options.env),
    });
    const ran: Ran = { code: null, out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ran, code }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** The parsed output of a command that must end with `code`. */
export async function json(
  at: Place,
  args: readonly string[],
  code = 0,
): Promise<Record<string, unknown> & { items?: Record<string, unknown>[] }> {
  const ran = await run(at, [...args, '--json']);
  if (ran.code !== code) throw new Error(`exit ${String(ran.code)}: ${ran.out}${ran.err}`);
  return JSON.parse(ran.out) as Record<string, unknown>;
}

/** Replaces text that must be there, in a file of the workspace. */
export async function edit(at: Place, name: string, [from, to]: readonly [string, string]): Promise<void> {
  const path = join(at.workspace, name);
  const text = await readFile(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${name} does not hold ${from}`);
  await writeFile(
    path,
    text.replace(from, () => to),
  );
}

export const RUN = 'run_sample';

/** A journal as a server leaves it: a session with one call done, one denied and, by `pay`, one that waits. */
export interface Journal {
  rig: Rig;
  store: Store;
  approvalId: string;
  call: Rig['call'];
}

export async function journal(
  at: Place,
  options: { now?: number; overdueAfter?: number; args?: Record<string, unknown> } = {},
): Promise<Journal> {
  const principal = osPrincipal();
  const store = await openSqliteStore({
    path: join(at.workspace, '.agent-runtime', 'runtime.db'),
    keys: fileTenantKeys(join(at.state, 'keys')),
    clock: systemClock,
    ids: randomIds,
  });
  onTestFinished(() => store.close());
  const pay = capability('pay', { mode: 'write', risk: 'high', approval: { approver: 'principal' } });
  const sample = sampleConfig({ capabilities: [look, note, pay] });
  const { escalationSlaMinutes: usual } = sample.approvals;
  const approvals = { ...sample.approvals, escalationSlaMinutes: options.overdueAfter ?? usual };
  const config = { ...sample, approvals };
  const clock = createFakeClock(options.now ?? systemClock.now());
  const rig = createRig({ config, store, clock, idSeed: at.workspace });
  const updatedAt = clock.now();
  const owned = { tenant: 'local', principal, updatedAt };
  await store.commit({
    rows: [
      { row: { ...owned, kind: 'session', id: SESSION, status: 'open', body: { intent: 'notes' } } },
      { row: { ...owned, kind: 'run', id: RUN, status: 'running', ref: SESSION, body: {} } },
    ],
  });
  const caller = { ...CALLER, principal };
  const call: Rig['call'] = (tool, args, over = {}) =>
    rig.call(tool, args, {
      context: {
        caller,
        agentId: config.agent.id,
        sessionId: SESSION,
        runId: RUN,
        traceId: 'trace',
        taskType: 'agent-session',
        delegation: { mode: 'platform_owned', delegatedPrincipalId: '', delegatedScope: '' },
      },
      ...over,
    });
  await call('look', { q: 1 });
  await call('nowhere', {});
  const waiting = await call('pay', options.args ?? { amount: 12, to: 'Ada' });
  if (waiting.status !== 'waiting_approval') throw new Error(`not waiting: ${waiting.status}`);
  return { rig, store, call, approvalId: waiting.approval.subject.approvalId };
}
