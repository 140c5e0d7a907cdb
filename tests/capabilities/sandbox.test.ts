// What a sandbox prevents, by attempts: each fails inside, and the same attempt succeeds without one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { describe, expect, onTestFinished, test } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { DownstreamServer, SandboxProfile } from '../../src/config/types.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import type { ConfineOptions } from '../../src/kernel/sandbox/launch.ts';
import { lookForMeans } from '../../src/kernel/sandbox/means.ts';
import { PACKAGE_ROOT } from '../config/fixture.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, freshSignal, lock, script, server } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const SECRET = 'canary-7f3a91';
const NOT_CONFINED = expect.stringMatching(/^not confined: /) as string;
const FILESYSTEM = createRequire(import.meta.url).resolve(
  '@modelcontextprotocol/server-filesystem/dist/index.js',
);

// A machine that cannot confine must not pass by leaving these tests out: they fail, and say why.
const isLinux = process.platform === 'linux';
const when = isLinux ? describe : describe.skip;

function profile(over: Partial<SandboxProfile> = {}): SandboxProfile {
  return {
    manifestVersion: 1,
    missing: 'refuse',
    entries: [],
    shell: 'restricted',
    network: 'denied',
    secrets: 'none',
    resume: 'allowed',
    snapshot: 'none',
    persist: false,
    limits: { cpuSeconds: 60, memoryMb: 512, processes: 128, openFiles: 256, fileMb: 4, scratchMb: 6 },
    ...over,
  };
}

interface Place {
  root: string;
  inside: string;
  outside: string;
  confine: ConfineOptions;
  warned: string[];
}

function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'sandbox-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const inside = join(root, 'space');
  const outside = join(root, 'elsewhere');
  for (const path of [inside, outside]) mkdirSync(path);
  const warned: string[] = [];
  const confine = {
    masked: [join(inside, '.agent-runtime'), join(inside, 'configs')],
    packageRoot: PACKAGE_ROOT,
    homes: join(root, 'homes'),
    lock,
    ids: randomIds,
    onUnconfined: (label: string, why: string) => warned.push(`${label}: ${why}`),
  };
  return { root, inside, outside, confine, warned };
}

const ambient = { ...process.env, PROVIDER_KEY: SECRET };

async function bench(at: Place, servers: DownstreamServer[], env = ambient): Promise<Bench> {
  const made = createBench(servers, env, undefined, {}, {}, at.confine);
  onTestFinished(() => made.end());
  return made;
}

function text(result: ExecutionResult): string {
  return result.kind === 'result'
    ? (result.content[0]?.['text'] as string)
    : `${result.code} ${result.message}`;
}

/** The same attempt by the confined server and by a free one. */
async function both(
  at: Place,
  given: SandboxProfile,
): Promise<(tool: string, args?: JsonObject) => Promise<[string, string]>> {
  const args = [script('intruder')];
  const { call } = await bench(at, [server('free', args), server('held', args, { sandbox: given })]);
  return async (tool, input = {}) => [
    text(await call(`held:${tool}`, input)),
    text(await call(`free:${tool}`, input)),
  ];
}

async function listener(): Promise<number> {
  const listening = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => listening.close(() => resolve())));
  return (listening.address() as AddressInfo).port;
}

test('this machine confines, wherever Linux is: bubblewrap and prlimit are part of its test tools', async () => {
  if (!isLinux) return;
  const means = await lookForMeans(process.env);
  expect(means.bubblewrap).toHaveProperty('path');
  expect(means.prlimit).toHaveProperty('path');
});

when('a confined server', () => {
  verifies(['SB-01'], 'cannot write or read outside its entries, and can without a sandbox', async () => {
    const at = place();
    writeFileSync(join(at.outside, 'plain'), 'of somebody else');
    const attempt = await both(
      at,
      profile({ entries: [{ source: 'local_dir', path: at.inside, readOnly: false }] }),
    );
    expect(await attempt('write', { path: join(at.outside, 'made') })).toEqual(['ENOENT', 'done']);
    expect(await attempt('read', { path: join(at.outside, 'plain') })).toEqual([
      'ENOENT',
      'of somebody else',
    ]);
    expect(await attempt('write', { path: join(at.inside, 'made') })).toEqual(['done', 'done']);
    for (const path of ['/made', '/etc/made', '/usr/lib/made', '/dev/made']) {
      expect((await attempt('write', { path }))[0]).toMatch(/^(EROFS|EACCES|ENOENT)$/);
    }
    const [held] = await attempt('list', { path: '/' });
    expect(held.split(' ')).not.toEqual(expect.arrayContaining(['root']));
    for (const path of ['/root', '/var', '/sys', '/home/sandbox/..']) {
      expect((await attempt('list', { path }))[0]).toMatch(/^(ENOENT|sandbox)$/);
    }
    expect(readdirSync(at.outside).sort()).toEqual(['made', 'plain']);
  });

  test('writes nothing into an entry that is read-only', async () => {
    const at = place();
    const attempt = await both(
      at,
      profile({ entries: [{ source: 'local_dir', path: at.inside, readOnly: true }] }),
    );
    expect(await attempt('write', { path: join(at.inside, 'made') })).toEqual(['EROFS', 'done']);
  });

  verifies({ partial: ['SB-03'] }, 'cannot connect to a listener of this machine', async () => {
    const at = place();
    const port = await listener();
    const attempt = await both(at, profile());
    expect(await attempt('connect', { port })).toEqual(['ECONNREFUSED', 'connected']);
    const open = await both(place(), profile({ network: 'full' }));
    expect(await open('connect', { port })).toEqual(['connected', 'connected']);
  });

  verifies(['SB-02'], 'finds no secret variable in any environment that it can read', async () => {
    const at = place();
    const neighbour = spawn(process.execPath, ['-e', "console.log('up'); process.stdin.resume()"], {
      env: { PROVIDER_KEY: SECRET },
    });
    onTestFinished(() => void neighbour.kill('SIGKILL'));
    await once(neighbour.stdout, 'data');
    const attempt = await both(at, profile());
    expect(await attempt('find_secret', { text: SECRET })).toEqual(['not found', 'found']);
    const declared = profile({ secrets: 'declared' });
    const told = server('told', [script('intruder')], { envAllow: ['PROVIDER_KEY'], sandbox: declared });
    const { call } = await bench(at, [told]);
    expect(text(await call('told:find_secret', { text: SECRET }))).toBe('found');
  });

  test('has no other program to run, unless its profile says so', async () => {
    const at = place();
    const attempt = await both(at, profile());
    expect(await attempt('run', { program: '/bin/sh', args: ['-c', 'echo hi'] })).toEqual(['ENOENT', '0 hi']);
    const full = await both(place(), profile({ shell: 'full' }));
    expect(await full('run', { program: '/bin/sh', args: ['-c', 'echo hi'] })).toEqual(['0 hi', '0 hi']);
  });

  test('is stopped at its limits on memory, files and scratch space', async () => {
    const at = place();
    const attempt = await both(
      at,
      profile({ entries: [{ source: 'local_dir', path: at.inside, readOnly: false }] }),
    );
    expect(await attempt('fill', { path: join(at.inside, 'big'), mb: 6 })).toEqual(['EFBIG', 'done']);
    const scratch = join(tmpdir(), `sandbox-scratch-${process.pid}`);
    expect(await attempt('fill', { path: `${scratch}-1`, mb: 4 })).toEqual(['done', 'done']);
    expect(await attempt('fill', { path: `${scratch}-2`, mb: 4 })).toEqual(['ENOSPC', 'done']);
    for (const one of ['-1', '-2']) rmSync(`${scratch}${one}`);
    // Last: a process that is refused memory may end.
    const [held, free] = await attempt('allocate', { mb: 1024 });
    expect(free).toBe('1024 MB');
    expect(held).not.toBe('1024 MB');
  });

  test('is ended when it has used up its processor time, and only its own call fails', async () => {
    const at = place();
    const limits = { ...profile().limits, cpuSeconds: 1 };
    const { call } = await bench(at, [
      server('held', [script('intruder')], { sandbox: profile({ limits }) }),
    ]);
    expect(text(await call('held:burn'))).toContain('SUBPROCESS_EXIT_NONZERO');
  });

  test('is stopped at its number of processes, or the account says that it is not', async () => {
    const at = place();
    const limits = { ...profile().limits, processes: 40 };
    const { call, downstreams } = await bench(at, [
      server('held', [script('intruder')], { sandbox: profile({ limits }) }),
    ]);
    const started = Number(text(await call('held:crowd', { count: 40 })));
    const { confinement } = await downstreams.connection('held')!.session(freshSignal());
    const { processesExempt } = await lookForMeans(process.env);
    if (processesExempt === undefined) expect(started).toBeLessThan(40);
    else expect(confinement).toMatchObject({ not_enforced: [`processes: ${processesExempt}`] });
  });

  verifies({ partial: ['SB-05', 'SB-10'] }, 'tells what it was held to', async () => {
    const at = place();
    const held = profile({ entries: [{ source: 'local_dir', path: at.inside, readOnly: false }] });
    const args = [script('intruder')];
    const { call } = await bench(at, [server('free', args), server('held', args, { sandbox: held })]);
    const result = await call('held:list', { path: '/' });
    expect(result.confinement).toMatchObject({
      sandbox: 'bubblewrap',
      sandbox_session_id: expect.stringMatching(/^sbx_/) as string,
      sandbox_manifest_version: 1,
      sandbox_permissions_profile: 'restricted-shell-network-denied',
      network_secrets_posture: 'network:denied,secrets:none',
      workspace_manifest_ref: expect.stringMatching(/^sha256:/) as string,
      reads: 'confined to its entries, its own files and those of the system',
      start: 'fresh',
      limits: { memory_mb: 512, cpu_seconds: 60, scratch_mb: 6 },
    });
    const free = await call('free:list', { path: '/' });
    expect(free.confinement).toEqual({ sandbox: 'none', reason: 'no sandbox_profile', reads: NOT_CONFINED });
  });

  test('finds state and configuration empty, and cannot plant them', async () => {
    const at = place();
    mkdirSync(join(at.inside, 'configs'));
    writeFileSync(join(at.inside, 'configs', 'policy.yaml'), 'the policy');
    writeFileSync(join(at.inside, '.env'), `KEY=${SECRET}`);
    const attempt = await both(
      at,
      profile({ entries: [{ source: 'local_dir', path: at.inside, readOnly: false }] }),
    );
    expect(await attempt('list', { path: join(at.inside, 'configs') })).toEqual(['', 'policy.yaml']);
    expect((await attempt('write', { path: join(at.inside, 'configs', 'policy.yaml') }))[0]).toBe('EROFS');
    expect((await attempt('write', { path: join(at.inside, '.agent-runtime', 'runtime.db') }))[0]).toBe(
      'EROFS',
    );
    expect(existsSync(join(at.inside, '.agent-runtime', 'runtime.db'))).toBe(true); // the free one's
    expect(await attempt('read', { path: join(at.inside, '.env') })).toEqual(['EACCES', `KEY=${SECRET}`]);
  });

  test('may not have state or configuration as an entry', async () => {
    const at = place();
    mkdirSync(join(at.inside, 'configs', 'part'), { recursive: true });
    for (const path of [
      join(at.inside, 'configs'),
      join(at.inside, 'configs', 'part'),
      join(at.root, 'nowhere'),
    ]) {
      const held = profile({ entries: [{ source: 'local_dir', path, readOnly: true }] });
      const { call } = await bench(at, [server('held', [script('intruder')], { sandbox: held })]);
      expect(
        text(await call('held:list', { path: '/' }, { execution: { pinDigest: 'sha256:0' } })),
      ).toContain('cannot hold');
    }
  });

  test('gets inline files, which are no arguments that others could read', async () => {
    const at = place();
    const entries = [
      {
        source: 'inline_file' as const,
        path: '/home/sandbox/a/one.txt',
        readOnly: true as const,
        content: 'one',
      },
      {
        source: 'inline_file' as const,
        path: '/task.md',
        readOnly: true as const,
        content: 'x'.repeat(30_000),
      },
    ];
    const attempt = await both(at, profile({ entries }));
    expect((await attempt('read', { path: '/home/sandbox/a/one.txt' }))[0]).toBe('one');
    expect((await attempt('read', { path: '/task.md' }))[0]).toHaveLength(30_000);
    expect((await attempt('write', { path: '/task.md' }))[0]).toBe('EROFS');
  });

  verifies(
    { partial: ['SB-07', 'SB-09'] },
    'keeps its home, is copied at its end, or begins afresh',
    async () => {
      const at = place();
      const args = [script('intruder')];
      const note = { path: '/home/sandbox/note' };
      const kept = profile({ persist: true, snapshot: 'required_on_completion' });
      const { call, downstreams } = await bench(at, [
        server('kept', args, { sandbox: kept }),
        server('afresh', args, { sandbox: { ...kept, resume: 'denied', snapshot: 'none' } }),
        server('lost', args, { sandbox: profile() }),
      ]);
      const flags = {
        kept: { resumable: true, snapshottable: true, recreate: false },
        afresh: { resumable: false, snapshottable: false, recreate: true },
        lost: { resumable: false, snapshottable: false, recreate: true },
      };
      for (const name of ['kept', 'afresh', 'lost'] as const) {
        const { confinement } = await call(`${name}:write`, note);
        expect(confinement).toMatchObject({ start: 'fresh', ...flags[name] });
        for (const one of downstreams.all()) if (one.server.name === name) await one.release('closed');
      }
      const again = await call('kept:read', note);
      expect(text(again)).toBe('x');
      expect(again.confinement).toMatchObject({
        start: 'resumed',
        ...flags.kept,
        snapshot_id: expect.stringMatching(/^snap_/) as string,
      });
      const kepts = join(at.confine.homes, 'kept');
      const first = join(kepts, readdirSync(kepts)[0]!, '1');
      const copy = join(first, 'snapshots', again.confinement?.['snapshot_id'] as string, 'note');
      expect(readFileSync(copy, 'utf8')).toBe('x');
      const live = await call('kept:read', note);
      expect(live.confinement).toEqual({ ...again.confinement, start: 'live' });
      for (const name of ['afresh', 'lost']) {
        const anew = await call(`${name}:read`, note);
        expect([text(anew), anew.confinement?.['start']]).toEqual(['ENOENT', 'fresh']);
      }
    },
  );
});

when('the filesystem server', () => {
  test('works inside its entry and nowhere else, though it is told that it may', async () => {
    const at = place();
    const entries = [{ source: 'local_dir' as const, path: at.inside, readOnly: false }];
    const args = [FILESYSTEM, at.inside, at.root];
    const { call } = await bench(at, [
      server('free', args, { era: 'auto' }),
      server('held', args, { era: 'auto', sandbox: profile({ entries }) }),
    ]);
    const write = (name: string, path: string): Promise<string> =>
      call(`${name}:write_file`, { path, content: 'x' }).then(text);
    expect(await write('held', join(at.inside, 'a.txt'))).toContain('Successfully wrote');
    expect(await write('held', join(at.outside, 'a.txt'))).not.toContain('Successfully');
    expect(existsSync(join(at.outside, 'a.txt'))).toBe(false);
    expect(await write('free', join(at.outside, 'a.txt'))).toContain('Successfully wrote');
  });
});

describe('a machine that cannot confine', () => {
  const nowhere = { ...ambient, PATH: '/nonexistent' };
  const args = [script('intruder')];

  verifies(['SB-04'], 'starts nothing that must be confined', async () => {
    const at = place();
    const { call, sandbox } = await bench(at, [server('held', args, { sandbox: profile() })], nowhere);
    const result = await call('held:list', { path: '/' }, { execution: { pinDigest: 'sha256:0' } });
    expect(result).toMatchObject({ code: 'SUBPROCESS_SANDBOX_UNAVAILABLE', sideEffect: 'not_executed' });
    expect(sandbox.live()).toBe(0);
    expect(at.warned).toEqual([]);
  });

  test('says so, and in every receipt, where it may go on', async () => {
    const at = place();
    const { call } = await bench(
      at,
      [server('held', args, { sandbox: profile({ missing: 'warn' }) })],
      nowhere,
    );
    const result = await call('held:list', { path: at.root });
    expect(text(result)).toContain('space');
    const why = isLinux
      ? 'bubblewrap (bwrap) is not installed'
      : (expect.stringContaining('no bubblewrap') as string);
    expect(result.confinement).toEqual({ sandbox: 'none', reason: why, reads: NOT_CONFINED });
    expect(at.warned).toHaveLength(1);
  });
});
