// Whose a kept home is: one owner's alone, and one process's at a time.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import type { SandboxProfile } from '../../src/config/types.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { NO_DELEGATION } from '../../src/kernel/identity.ts';
import type { RunContext } from '../../src/kernel/identity.ts';
import { PACKAGE_ROOT } from '../config/fixture.ts';
import { createBench, lock, script, server } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const when = process.platform === 'linux' ? describe : describe.skip;
const NOTE = { path: '/home/sandbox/note' };

const KEPT: SandboxProfile = {
  manifestVersion: 1,
  missing: 'refuse',
  entries: [],
  shell: 'restricted',
  network: 'denied',
  secrets: 'none',
  resume: 'allowed',
  snapshot: 'none',
  persist: true,
  limits: { cpuSeconds: 60, memoryMb: 512, processes: 128, openFiles: 256, fileMb: 4, scratchMb: 6 },
};

interface Machine {
  homes: string;
  /** Another process of ours on this machine. */
  bench(): Bench;
  /** The directories of the server's owners. */
  owners(): string[];
}

function machine(state: Partial<SandboxProfile> = {}): Machine {
  const root = mkdtempSync(join(tmpdir(), 'sandbox-homes-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const homes = join(root, 'homes');
  const confine = { masked: [], packageRoot: PACKAGE_ROOT, homes, lock, ids: randomIds };
  const held = server('held', [script('intruder')], { sandbox: { ...KEPT, ...state } });
  return {
    homes,
    bench: () => createBench([held], process.env, undefined, {}, {}, confine),
    owners: () => readdirSync(join(homes, 'held')).map((name) => join(homes, 'held', name)),
  };
}

function as(principal: string): RunContext {
  return {
    caller: { tenant: 't', principal, actor: 'a', roles: [], scopes: [], lane: 'default' },
    agentId: 'agent',
    sessionId: 'ses_1',
    runId: 'run_1',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    taskType: 'agent-session',
    delegation: NO_DELEGATION,
  };
}

function told(result: ExecutionResult): [unknown, unknown] {
  const said = result.kind === 'result' ? result.content[0]?.['text'] : `${result.code}: ${result.message}`;
  return [result.confinement?.['start'], said];
}

async function call(on: Bench, tool: string, principal = 'ann'): Promise<[unknown, unknown]> {
  return told(await on.call(`held:${tool}`, NOTE, { execution: { context: as(principal) } }));
}

when('a kept home', () => {
  test('is of one principal: what the child of another left is never found', async () => {
    const at = machine();
    const one = at.bench();
    expect(await call(one, 'write', 'ann')).toEqual(['fresh', 'done']);
    expect(await call(one, 'read', 'ben')).toEqual(['fresh', 'ENOENT']);
    await one.end();
    const two = at.bench();
    expect(await call(two, 'read', 'ben')).toEqual(['resumed', 'ENOENT']);
    expect(await call(two, 'read', 'ann')).toEqual(['resumed', 'x']);
    await two.end();
    expect(at.owners()).toHaveLength(2); // and none of who only looked at the list
  });

  test('is of one process: the next one gets another, and removes nothing under the first', async () => {
    const at = machine({ resume: 'denied' });
    const [serve, worker] = [at.bench(), at.bench()];
    expect(await call(serve, 'write')).toEqual(['fresh', 'done']);
    expect(await call(worker, 'read')).toEqual(['fresh', 'ENOENT']);
    expect(await call(serve, 'read')).toEqual(['live', 'x']);
    await Promise.all([serve.end(), worker.end()]);
  });

  test('is found again by the next process, also after one that was killed with its lock', async () => {
    const at = machine();
    const first = at.bench();
    expect(await call(first, 'write')).toEqual(['fresh', 'done']);
    await first.end();
    const [owner] = at.owners();
    const gone = { pid: 2 ** 22 + 1, started: '1', host: (await import('node:os')).hostname(), token: 'ab' };
    writeFileSync(join(owner!, '1', 'lock'), JSON.stringify(gone));
    const second = at.bench();
    expect(await call(second, 'read')).toEqual(['resumed', 'x']);
    await second.end();
    expect(readdirSync(owner!)).toEqual(['1']);
    expect(readdirSync(join(owner!, '1'))).toEqual(['home']);
  });

  test('waits for the copy of a child that broke off before the next one has it', async () => {
    const at = machine({ snapshot: 'required_on_completion', resume: 'snapshot' });
    const bench = at.bench();
    expect(await call(bench, 'write')).toEqual(['fresh', 'done']);
    const lease = bench.downstreams.lease('held', { tenant: 't', principal: 'ann' })!;
    const { pid, ended } = await lease.connection.session(new AbortController().signal);
    process.kill(pid!, 'SIGKILL');
    await ended;
    lease.end();
    expect(await call(bench, 'read')).toEqual(['snapshot', 'x']);
    await bench.end();
  });

  test('keeps the last two copies', async () => {
    const at = machine({ snapshot: 'required_on_completion' });
    for (let round = 0; round < 4; round++) {
      const bench = at.bench();
      await call(bench, 'read');
      const [owner] = at.owners();
      writeFileSync(join(owner!, '1', 'home', 'round'), `${round}`);
      await bench.end();
    }
    const place = join(at.owners()[0]!, '1');
    const copies = readdirSync(join(place, 'snapshots'));
    const rounds = copies.map((name) => readFileSync(join(place, 'snapshots', name, 'round'), 'utf8'));
    expect(rounds.sort()).toEqual(['2', '3']);
    const last = readFileSync(join(place, 'last-snapshot'), 'utf8');
    expect(readFileSync(join(place, 'snapshots', last, 'round'), 'utf8')).toBe('3');
  });
});
