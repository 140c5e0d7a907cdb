// The contract of a sandbox profile, key by key: read from the files, held against a process, and shown.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { randomIds } from '../../src/base/ids.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Change } from '../config/fixture.ts';
import { load, loadAll, PACKAGE_ROOT, refusal } from '../config/fixture.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, lock, script, server } from './fixtures.ts';

const when = process.platform === 'linux' ? describe : describe.skip;
const SECRET = 'canary-7f3a91';
const AT = '/servers/desk/sandbox_profile';

interface Written {
  servers: Record<string, JsonObject>;
}

/** The bundled servers, with this profile and these keys for the desk. */
function desk(profile: JsonObject, more: JsonObject = {}): Record<string, Change> {
  return {
    'servers.yaml': (text) => {
      const written = parse(text) as Written;
      written.servers['desk'] = { ...written.servers['desk'], sandbox_profile: profile, ...more };
      return stringify(written);
    },
  };
}

interface Place {
  root: string;
  space: string;
  port: number;
}

async function place(): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'sandbox-contract-'));
  const listening = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    listening.close();
    rmSync(root, { recursive: true, force: true });
  });
  const space = join(root, 'space');
  mkdirSync(space);
  return { root, space, port: (listening.address() as AddressInfo).port };
}

interface Answer {
  said: string;
  confinement: JsonObject | undefined;
}

/** What the intruder answers, one call after another on one process, under the profile as the files have it. */
async function attempt(
  at: Place,
  profile: JsonObject,
  calls: readonly (readonly [tool: string, args: JsonObject])[],
): Promise<Answer[]> {
  const declares = (profile['permissions'] as JsonObject | undefined)?.['secrets'] === 'declared';
  const more = declares ? { env_allow: ['PROVIDER_KEY'] } : {};
  const { servers } = await load(desk(profile, more));
  const { sandbox, envAllow } = servers['desk']!;
  const confine = {
    masked: [],
    packageRoot: PACKAGE_ROOT,
    homes: join(at.root, 'homes'),
    lock,
    ids: randomIds,
  };
  const held = server('held', [script('intruder')], {
    envAllow,
    ...(sandbox === undefined ? {} : { sandbox }),
  });
  const bench = createBench([held], { ...process.env, PROVIDER_KEY: SECRET }, undefined, {}, {}, confine);
  const answers: Answer[] = [];
  for (const [tool, args] of calls) {
    const result = await bench.call(`held:${tool}`, args);
    const said = result.kind === 'result' ? (result.content[0]?.['text'] as string) : result.code;
    answers.push({ said, confinement: result.confinement });
  }
  await bench.end();
  return answers;
}

when('a sandbox profile', () => {
  verifies(
    ['SB-05'],
    'is read from the files, each of its keys is held against the process, and receipts and the effective configuration show it',
    async () => {
      const at = await place();
      const entry = { path: at.space, source: 'local_dir' };
      const write = ['write', { path: join(at.space, 'made') }] as const;
      const home = ['write', { path: '/home/sandbox/kept' }] as const;
      const inline = { path: '/task.md', source: 'inline_file', content: 'the task' };
      const sh: [string, JsonObject] = ['run', { program: '/bin/sh', args: ['-c', 'echo hi'] }];
      const secret = ['find_secret', { text: SECRET }] as const;
      const connect = ['connect', { port: at.port }] as const;
      const who = ['read', { path: '/proc/self/status' }] as const;

      const strict = {
        manifest_version: 1,
        workspace: { entries: [{ ...entry, read_only: true }, inline] },
        capabilities: { filesystem: true, shell: 'restricted' },
        permissions: { network: 'denied', secrets: 'none', run_as: 'sandbox_user' },
        state: { resume: 'allowed', snapshot: 'none', persist_session_state: false },
        limits: { file_mb: 1 },
      };
      const task = ['read', { path: '/task.md' }] as const;
      const big = ['fill', { path: '/tmp/big', mb: 2 }] as const;
      const held = await attempt(at, strict, [write, task, sh, connect, secret, who, big, home]);
      expect(held.map(({ said }) => said.split('\n')[0])).toEqual([
        ...['EROFS', 'the task', 'ENOENT', 'ECONNREFUSED', 'not found'],
        expect.any(String),
        ...['EFBIG', 'done'],
      ]);
      expect(held[5]?.said).toMatch(/^Uid:\t65534\t/m);
      expect(held[0]?.confinement).toMatchObject({
        sandbox_manifest_version: 1,
        sandbox_permissions_profile: 'restricted-shell-network-denied',
        network_secrets_posture: 'network:denied,secrets:none',
        ...{ start: 'fresh', resumable: false, snapshottable: false },
        limits: { file_mb: 1 },
      });

      const wide = {
        workspace: { entries: [{ ...entry, read_only: false }] },
        capabilities: { shell: 'full' },
        permissions: { network: 'full', secrets: 'declared' },
        state: { persist_session_state: true, snapshot: 'required_on_completion' },
      };
      const free = await attempt(at, wide, [write, task, sh, connect, secret, big, home]);
      expect(free.map(({ said }) => said)).toEqual([
        ...['done', 'ENOENT', '0 hi', 'connected', 'found', 'done', 'done'],
      ]);
      expect(free[0]?.confinement).toMatchObject({
        sandbox_permissions_profile: 'full-shell-network-full',
        network_secrets_posture: 'network:full,secrets:declared',
        ...{ start: 'fresh', resumable: true, snapshottable: true },
      });
      expect(free[0]?.confinement?.['workspace_manifest_ref']).not.toBe(
        held[0]?.confinement?.['workspace_manifest_ref'],
      );
      const kept = ['read', { path: '/home/sandbox/kept' }] as const;
      const [again] = await attempt(at, wide, [kept]);
      expect(again).toMatchObject({ said: 'x', confinement: { start: 'resumed' } });
      const denied = { ...wide, state: { ...wide.state, resume: 'denied' } };
      expect((await attempt(at, denied, [kept]))[0]).toMatchObject({
        said: 'ENOENT',
        confinement: { start: 'fresh' },
      });
      const bare = { ...wide, capabilities: { filesystem: false } };
      expect((await attempt(at, bare, [write]))[0]?.said).toBe('EROFS');

      const { effective } = await loadAll(desk(strict));
      const shown = new Map(effective.map(({ key, value }) => [key, value]));
      expect(shown.get('servers.desk.sandbox_profile.permissions.network')).toBe('denied');
      const entries = shown.get('servers.desk.sandbox_profile.workspace.entries');
      expect(entries).toEqual([strict.workspace.entries[0], { ...inline, read_only: true }]);
    },
  );
});

verifies({ partial: ['SB-05'] }, 'what a profile asks for that nothing would give is refused', async () => {
  const cases: [JsonObject, string, RegExp][] = [
    [{ manifest_version: 2 }, '/manifest_version', /^must be 1$/],
    [{ capabilities: { memory: 'read_write' } }, '/capabilities/memory', /^memory is not supported here/],
    [{ capabilities: { skills: 'read_only' } }, '/capabilities/skills', /^skills is not supported here/],
    [{ permissions: { run_as: 'root' } }, '/permissions/run_as', /^must be "sandbox_user"$/],
    [{ zzz: 1 }, '/zzz', /^unknown key "zzz"$/],
    [{ permissions: { network: 'allowlist' } }, '/permissions/network', /^must be "denied" or "full"$/],
  ];
  for (const [profile, path, message] of cases) {
    const { problems } = await refusal(desk(profile));
    expect(problems).toMatchObject([{ path: `${AT}${path}` }]);
    expect(problems[0]?.message).toMatch(message);
  }
  const { problems } = await refusal(desk({}, { env_allow: ['PROVIDER_KEY'] }));
  expect(problems).toMatchObject([{ path: '/servers/desk/env_allow' }]);
});
