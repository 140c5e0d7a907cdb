// Sandbox profiles: which server gets which, what is filled in, and that a decision is bound to them.
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { load, refusal } from './fixture.ts';

const forAll = (profile: string) => (text: string) =>
  text.replace(
    '  background_mode_allowed: true',
    `  sandbox_profile: ${profile}\n  background_mode_allowed: true`,
  );
/** servers.yaml without the profiles that the example gives its servers. */
const bare = (text: string): string => text.replaceAll(/^ {4}sandbox_profile:\n(?: {6}.*\n)+/gm, '');
const forDesk = (profile: string) => (text: string) =>
  bare(text).replace('    env_allow: []', `    sandbox_profile: ${profile}\n    env_allow: []`);

verifies(
  { partial: ['SB-05'] },
  'a profile is filled in with the strictest words, its paths resolved',
  async () => {
    const config = await load({
      'servers.yaml': bare,
      'runtime-controls.yaml': forAll(
        '{ workspace: { entries: [{ path: "{sandbox}/a", source: local_dir }] } }',
      ),
    });
    expect(config.servers['files']?.sandbox).toEqual({
      manifestVersion: 1,
      missing: 'refuse',
      entries: [{ source: 'local_dir', path: '/work/space/sandbox/a', readOnly: true }],
      shell: 'restricted',
      network: 'denied',
      secrets: 'none',
      resume: 'allowed',
      snapshot: 'none',
      persist: false,
      limits: {
        cpuSeconds: 3600,
        memoryMb: 1024,
        processes: 256,
        openFiles: 1024,
        fileMb: 256,
        scratchMb: 64,
      },
    });
    expect(config.controls).not.toHaveProperty('sandbox');
  },
);

test('a server has its own profile, else the one for all, else none', async () => {
  const of = async (all: string, own: string): Promise<(string | undefined)[]> => {
    const { servers } = await load({ 'runtime-controls.yaml': forAll(all), 'servers.yaml': forDesk(own) });
    return ['desk', 'files'].map((name) => servers[name]?.sandbox?.network);
  };
  expect(await of('{}', '{ permissions: { network: full } }')).toEqual(['full', 'denied']);
  expect(await of('{}', 'none')).toEqual([undefined, 'denied']);
  expect((await load({ 'servers.yaml': bare })).servers['desk']?.sandbox).toBeUndefined();
});

test('without its file system no entry can be written', async () => {
  const { servers } = await load({
    'servers.yaml': forDesk(
      '{ capabilities: { filesystem: false }, workspace: { entries: [{ path: /data, source: local_dir, read_only: false }] } }',
    ),
  });
  expect(servers['desk']?.sandbox?.entries).toEqual([{ source: 'local_dir', path: '/data', readOnly: true }]);
});

test('a changed profile is another policy: what was approved under the old one is asked again', async () => {
  const digests = await Promise.all(
    ['{}', '{ permissions: { network: full } }'].map(
      async (profile) =>
        (await load({ 'servers.yaml': bare, 'runtime-controls.yaml': forAll(profile) })).policy.digest,
    ),
  );
  const without = (await load({ 'servers.yaml': bare })).policy.digest;
  expect(new Set([...digests, without, (await load()).policy.digest]).size).toBe(4);
});

test('sandboxed is kept by a profile that refuses, and by nothing less', async () => {
  const promise = {
    'capabilities.yaml': (text: string) => text.replace('sandboxed: false', 'sandboxed: true'),
  };
  const kept = await load({ ...promise, 'servers.yaml': forDesk('{}') });
  expect(kept.capabilities['desk:search_docs']?.sandboxed).toBe(true);
  const { problems } = await refusal({ ...promise, 'servers.yaml': forDesk('{ missing: warn }') });
  expect(problems[0]?.message).toContain('may run without one');
});
