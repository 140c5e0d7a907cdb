import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { edit, json, place, run } from './harness.ts';
import type { Place } from './harness.ts';
import { openScreen } from './screen.ts';

/** A workspace whose configuration is its own, and whose server leaves a mark when it is started. */
async function foreign(): Promise<Place & { mark: string }> {
  const at = await place();
  await run(at, ['init']);
  const mark = join(at.workspace, 'started');
  const script = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '')`;
  const servers = ['desk', 'files'].map((name) => [
    name,
    { transport: 'stdio', command: 'node', args: ['-e', script] },
  ]);
  // JSON is YAML.
  const text = JSON.stringify({ servers: Object.fromEntries(servers) as object });
  await writeFile(join(at.workspace, 'configs', 'servers.yaml'), text);
  return { ...at, mark };
}

test('init writes the example once, and what exists is kept', async () => {
  const at = await place();
  const first = await json(at, ['init']);
  expect(first.written).toEqual(expect.arrayContaining(['configs/policy.yaml', '.agent-runtime/README.md']));
  expect(first.kept).toEqual([]);
  expect(await readdir(join(at.workspace, 'configs'))).not.toContain('tools');
  await writeFile(join(at.workspace, 'configs', 'policy.yaml'), 'mine');
  const second = await json(at, ['init']);
  expect(second.written).toEqual([]);
  expect(await readFile(join(at.workspace, 'configs', 'policy.yaml'), 'utf8')).toBe('mine');
});

test('the example that init wrote needs nobody to trust it', async () => {
  const at = await place();
  await run(at, ['init']);
  expect(await json(at, ['config', 'check'])).toMatchObject({ ok: true, trust: 'bundled' });
  expect(await json(at, ['trust'])).toMatchObject({ trust: 'bundled' });
});

test('an untrusted configuration starts no process', async () => {
  const at = await foreign();
  const commands = [['serve'], ['capabilities', 'pin', '--yes'], ['doctor', '--start']];
  for (const args of commands) {
    const ran = await run(at, args);
    expect(ran.code).toBe(args[0] === 'doctor' ? 1 : 3);
  }
  await expect(stat(at.mark)).rejects.toThrow('ENOENT');
});

test('without a terminal only the exact digest is trusted', async () => {
  const at = await foreign();
  const silent = await run(at, ['trust']);
  expect(silent.code).toBe(3);
  const { digest } = await json(at, ['config', 'check']);
  expect(silent.err).toContain(String(digest));
  const wrong = await run(at, ['trust', '--digest', `sha256:${'0'.repeat(64)}`]);
  expect(wrong.code).toBe(3);
  expect(await json(at, ['trust', '--digest', String(digest)])).toMatchObject({ trust: 'trusted', digest });
  expect(await json(at, ['config', 'check'])).toMatchObject({ trust: 'trusted' });
  const { mode } = await stat(join(at.state, 'trust.json'));
  expect(mode & 0o777).toBe(0o600);
});

test('trust is for this workspace and this digest, and ends with any change', async () => {
  const at = await foreign();
  const { digest } = await json(at, ['config', 'check']);
  await run(at, ['trust', '--digest', String(digest)]);
  await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: 300']);
  expect(await json(at, ['config', 'check'])).toMatchObject({ trust: 'untrusted' });
  const other = await place();
  const elsewhere = ['config', 'check', '--config', join(at.workspace, 'configs')];
  await edit(at, 'configs/policy.yaml', ['max_repeats: 300', 'max_repeats: 3']);
  expect(await json({ ...other, state: at.state }, elsewhere)).toMatchObject({ trust: 'untrusted' });
});

test('a person is shown what would start and what is allowed, and is asked', async () => {
  const at = await foreign();
  const no = await openScreen(at, ['trust']);
  const shown = await no.shows('Trust this configuration');
  expect(shown).toContain('starts "node" "-e"');
  expect(shown).toMatch(/Allowed +desk:get_ticket, desk:read_doc/);
  expect(shown).toMatch(/Asks +desk:create_ticket, files:write_file/);
  await no.keys('Enter');
  expect(await no.shows(/EXIT:\d/)).toContain('EXIT:3');
  expect(await json(at, ['config', 'check'])).toMatchObject({ trust: 'untrusted' });

  const yes = await openScreen(at, ['trust']);
  await yes.shows('Trust this configuration');
  await yes.keys('y');
  expect(await yes.shows(/EXIT:\d/)).toContain('EXIT:0');
  expect(await json(at, ['config', 'check'])).toMatchObject({ trust: 'trusted' });
});

verifies(
  { partial: ['CV-06', 'CV-08'] },
  'config check names every problem with its place and fails',
  async () => {
    const at = await place();
    await run(at, ['init']);
    await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeat: 3']);
    const report = await json(at, ['config', 'check'], 1);
    expect(report).toMatchObject({ ok: false, problems: [{ file: 'policy.yaml', column: 5 }] });
    const text = await run(at, ['config', 'check']);
    expect(text.code).toBe(1);
    expect(text.err).toContain('policy.yaml:');
  },
);

verifies(
  ['CV-08'],
  'config check gives every value in force with its layer, without secrets, and the digest of all of it',
  async () => {
    const at = await place();
    await run(at, ['init']);
    const before = await json(at, ['config', 'check']);
    await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: 4']);
    const token = 'f'.repeat(64);
    const principals = `principals: [{ id: a, tenant: t, token_sha256: "${token}" }]`;
    await edit(at, 'configs/identity.yaml', ['principals: []', principals]);
    const after = await json(at, ['config', 'check']);
    const shown = (of: Record<string, unknown>): Map<string, unknown[]> =>
      new Map(
        (of.values as { key: string; value: unknown; layer: string }[]).map(({ key, value, layer }) => [
          key,
          [value, layer],
        ]),
      );
    const repeats = 'policy.cycle_detection.max_repeats';
    expect(shown(before).get(repeats)).toEqual([3, 'file:policy.yaml']);
    expect(shown(after).get(repeats)).toEqual([4, 'file:policy.yaml']);
    // Resolved: what no file says, and what a template comes to.
    expect(shown(after).get('servers.files.max_tools')).toEqual([200, 'default']);
    expect(String(shown(after).get('policy.sandbox.root')?.[0])).toMatch(/^\//);
    expect(JSON.stringify(after)).not.toContain(token);
    expect(JSON.stringify(after)).toContain('"token_sha256":"(set)"');

    for (const digest of ['digest', 'policy_digest']) {
      expect(after[digest]).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(after[digest]).not.toBe(before[digest]);
    }
    const printed = await json(at, ['config', 'print']);
    expect([printed.values, printed.digest]).toEqual([after.values, after.digest]);
    expect((await run(at, ['config', 'check'])).out).toContain('agent-runtime config print');
  },
);

verifies({ partial: ['CV-08'] }, 'config print shows each value with its layer, and the digest', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: 4']);
  const printed = await json(at, ['config', 'print']);
  expect(printed.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(printed.values).toEqual(
    expect.arrayContaining([
      { key: 'policy.cycle_detection.max_repeats', value: 4, layer: 'file:policy.yaml' },
    ]),
  );
  expect((printed.values as { layer: string }[]).some((one) => one.layer === 'default')).toBe(true);
});

test('config schema writes beside the files, but never into the package', async () => {
  const at = await place();
  expect(Object.keys(await json(at, ['config', 'schema']))).toContain('policy.yaml');
  expect((await run(at, ['config', 'schema', '--write'])).code).toBe(2);
  await run(at, ['init']);
  const { written } = await json(at, ['config', 'schema', '--write']);
  expect(written).toContain('policy.schema.json');
});
