// Shows what a command says of a place that it cannot use: the place by name, and what to do; never a fault of our own.
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { edit, journal, json, MAIN, place, run } from './harness.ts';

test('a place that cannot be written is named, with what the system said', async () => {
  const at = await place();
  const { store } = await journal(at);
  await store.close();
  await writeFile(join(at.workspace, 'configs'), '');
  const cases: [string[], string][] = [
    [['init'], join(at.workspace, 'configs')],
    [['init', '--host', 'cursor', '--yes', '--workspace', join(at.workspace, 'other')], '.cursor'],
    [['evidence', 'verify', '--save-head', at.workspace], at.workspace],
  ];
  await mkdir(join(at.workspace, 'other'));
  await writeFile(join(at.workspace, 'other', '.cursor'), '');
  for (const [args, named] of cases) {
    const { code, err } = await run(at, args);
    expect({ args, code }).toEqual({ args, code: 5 });
    expect(err).toContain('error STORE_UNAVAILABLE: ');
    expect(err).toContain(named);
    expect(err).not.toContain('INTERNAL');
    expect(err).not.toMatch(/\n\s+at /);
  }
}, 60_000);

test('a journal or a key that cannot be looked at is not taken for none', async () => {
  const at = await place();
  const { store } = await journal(at);
  await store.close();
  const refused = async (folder: string, commands: string[][]): Promise<void> => {
    await rename(folder, `${folder}-away`);
    await symlink(folder, folder); // a link to itself: nobody can look behind it, not even root
    for (const args of commands) {
      const { code, err } = await run(at, args);
      expect({ args, code }).toEqual({ args, code: 5 });
      expect(err).toMatch(/^error STORE_UNAVAILABLE: .*ELOOP/);
    }
    await rm(folder);
    await rename(`${folder}-away`, folder);
  };
  await refused(join(at.workspace, '.agent-runtime'), [
    ['approvals', 'list'],
    ['evidence', 'verify'],
  ]);
  await refused(join(at.state, 'keys'), [['evidence', 'verify']]);
}, 60_000);

test('doctor names the journal that it cannot look at', async () => {
  const at = await place();
  const database = join(at.workspace, '.agent-runtime', 'runtime.db');
  await mkdir(join(at.workspace, '.agent-runtime'));
  await symlink(database, database);
  const { checks } = await json(at, ['doctor'], 1);
  const detail = expect.stringContaining(`${database} cannot be used`) as string;
  expect(checks).toContainEqual(expect.objectContaining({ check: 'storage', status: 'fail', detail }));
}, 30_000);

test('a configuration of the workspace that lacks its first file is refused, not replaced by the example', async () => {
  const at = await place();
  await run(at, ['init']);
  const agent = join(at.workspace, 'configs', 'agent.yaml');
  await rename(agent, agent.replace(/yaml$/, 'yml'));
  const { code, err } = await run(at, ['config', 'check']);
  expect(code).toBe(1);
  expect(err).toContain('did you mean "agent.yaml"?');
  expect(err).toContain(`the configuration directory ${join(at.workspace, 'configs')} has no such file`);
});

test('a configuration that is named through a link is as far from every tool as one that is not', async () => {
  const at = await place();
  await run(at, ['init']);
  const configs = join(at.workspace, 'configs');
  const link = `${at.workspace}-link`;
  await symlink(at.workspace, link);
  for (const [file, from, to] of [
    ['policy.yaml', "'{workspace}/sandbox'", "'{workspace}'"],
    ['capabilities.yaml', "'{sandbox}/**', access: write", "'{sandbox}/*onf*/**', access: write"],
  ] as const) {
    const text = await readFile(join(configs, file), 'utf8');
    await writeFile(join(configs, file), text.replace(from, to));
  }
  const refused = async (options: Parameters<typeof run>[2], ...flags: string[]): Promise<void> => {
    const { code, err } = await run(at, ['config', 'check', ...flags], options);
    expect([flags, code, err.includes('covers a reserved directory')]).toEqual([flags, 1, true]);
  };
  await refused({});
  await refused({}, '--config', join(link, 'configs'));
  await refused({ env: { AGENT_RUNTIME_CONFIG: join(link, 'configs') } });
  await rename(configs, join(at.workspace, 'my-conf'));
  await symlink('my-conf', configs);
  await refused({});
});

test('the name of a link to the configuration is kept from every tool, like the place it leads to', async () => {
  const at = await place();
  await run(at, ['init']);
  const configs = join(at.workspace, 'configs');
  const elsewhere = `${at.workspace}-elsewhere`;
  await rename(configs, elsewhere);
  await symlink(elsewhere, configs);
  const policy = join(elsewhere, 'policy.yaml');
  const text = await readFile(policy, 'utf8');
  for (const root of ['{workspace}/configs/x', elsewhere]) {
    await writeFile(policy, text.replace("'{workspace}/sandbox'", `'${root}'`));
    const { code, err } = await run(at, ['config', 'check']);
    expect([root, code, err.includes('which lies in the configuration directory')]).toEqual([root, 1, true]);
  }
});

test('a configuration directory that is not there is named', async () => {
  const at = await place();
  const { err } = await run(at, ['config', 'check', '--config', 'nowhere']);
  expect(err).toContain(`the configuration directory ${join(at.workspace, 'nowhere')} does not exist`);
});

test('the remedy for a file that is not there, or is no document, fits a file', async () => {
  const at = await place();
  const missing = await run(at, ['policy', 'decide', '--calls', 'nowhere.jsonl']);
  expect(missing.err).toContain(
    'what to do: Check the path, or list the items you may see and use an id from there.',
  );
  await mkdir(join(at.workspace, '.agent-runtime'));
  await writeFile(join(at.workspace, '.agent-runtime', 'tools.lock.json'), '{');
  const broken = await run(at, ['capabilities', 'list']);
  expect(broken.err).toContain(
    'what to do: Restore a file that the message names from a backup, or move it away.',
  );
});

test('a command over a pin file that cannot be read says so, and ends', async () => {
  const at = await place();
  await run(at, ['init']);
  await run(at, ['trust', '--yes']);
  const lock = join(at.workspace, '.agent-runtime', 'tools.lock.json');
  await mkdir(join(at.workspace, '.agent-runtime'), { recursive: true });
  await writeFile(lock, '<<<<<<< ours\n');
  for (const args of [['capabilities', 'pin', '--yes'], ['worker'], ['sessions', 'resume', 'ses_none']]) {
    const { code, err } = await run(at, args);
    expect({ args, code }).toEqual({ args, code: 5 });
    expect(err).toContain('error STORE_CORRUPT');
    expect(err).not.toContain('sign of life');
  }
});

test('a file that holds no heads is named', async () => {
  const at = await place();
  const { store } = await journal(at);
  await store.close();
  for (const text of ['{}', '{"heads":[{"seq":0}]}', '[]', 'no json']) {
    await writeFile(join(at.workspace, 'heads.json'), text);
    const { code, err } = await run(at, ['evidence', 'verify', '--anchor', 'heads.json']);
    expect({ text, code }).toEqual({ text, code: 2 });
    expect(err).toContain('error INVALID_INPUT: heads.json holds no heads');
  }
});

test('days that are no number remove nothing and are refused', async () => {
  const at = await place();
  const { store } = await journal(at);
  await store.close();
  for (const days of ['soon', '-1', '1.5']) {
    const { code, err } = await run(at, ['evidence', 'remove', `--older-than=${days}`, '--yes']);
    expect({ days, code }).toEqual({ days, code: 2 });
    expect(err).toContain('--older-than must be a whole number of days');
  }
  expect(await json(at, ['evidence', 'remove', '--older-than', '0'])).toMatchObject({ removed: false });
});

test('config check names each script and each file of a package that is not there, which a look at the values does not need', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/servers.yaml', [
    '{package}/dist/testing/servers/desk.js',
    '{package}/dist/desk.js',
  ]);
  await edit(at, 'configs/servers.yaml', ['dist/index.js}', 'dist/nowhere.js}']);
  await edit(at, 'configs/runtime.yaml', ['scripts/support.yaml', 'scripts/suport.yaml']);
  const { problems } = await json(at, ['config', 'check'], 1);
  expect(problems).toEqual([
    expect.objectContaining({
      ...{ file: 'runtime.yaml', path: '/agent_runtime/models/demo/script' },
      message: `there is no file ${join(at.workspace, 'configs', 'scripts', 'suport.yaml')}`,
    }),
    expect.objectContaining({
      ...{ file: 'servers.yaml', path: '/servers/desk/args/0' },
      message: `there is no file ${join(MAIN, '../../desk.js')}`,
    }),
    expect.objectContaining({
      ...{ file: 'servers.yaml', path: '/servers/files/args/0' },
      message: expect.stringMatching(/^there is no file .*server-filesystem\/dist\/nowhere\.js$/) as string,
    }),
  ]);
  expect((await run(at, ['config', 'print'])).code).toBe(0);
});

test('an error with one problem tells it once, one with several tells each', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/policy.yaml', ['enforcement: strict', 'enforcement: lax']);
  const one = await run(at, ['config', 'check']);
  expect(one.err.match(/must be "strict" or "off"/g)).toHaveLength(1);
  expect(one.err).toMatch(
    /^error CONFIGURATION_ERROR: policy\.yaml:\d+:\d+ \/policy\/arg_schema_enforcement: /,
  );
  await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: 0']);
  const { err } = await run(at, ['config', 'check']);
  expect(err).toMatch(
    /\(and 1 more\)\n {2}policy\.yaml:.* must be "strict" or "off"\n {2}policy\.yaml:.* must be at least 1\n/,
  );
});
