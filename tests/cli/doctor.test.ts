// Shows that doctor says what a person meets next where no journal has been made yet, and that one thing out of order
// hides no other.
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { edit, environment, json, MAIN, place } from './harness.ts';
import type { Place } from './harness.ts';

interface Check {
  check: string;
  status: string;
  detail: string;
  action?: string;
}

async function checksOf(at: Place, code = 0): Promise<Map<string, Check>> {
  const { checks } = await json(at, ['doctor'], code);
  return new Map((checks as Check[]).map((one) => [one.check, one]));
}

test('before the first run, doctor says which tools nobody has accepted and which variable is missing', async () => {
  const at = await place();
  await json(at, ['init']);
  const model =
    '    main: { provider: openai_compatible, model: m, api_key_env: NOT_SET_HERE, base_url: https://model-provider.invalid/ }\n';
  await edit(at, 'configs/runtime.yaml', ['  intents:\n    triage:', `${model}  intents:\n    triage:`]);
  const { digest } = await json(at, ['config', 'check']);
  await json(at, ['trust', '--digest', String(digest)]);
  const checks = await checksOf(at);
  expect(checks.get('storage')).toMatchObject({
    status: 'ok',
    detail: expect.stringContaining('no journal') as string,
  });
  expect(checks.get('tools')).toMatchObject({ status: 'warn' });
  expect(checks.get('tools')?.detail).toContain('desk:create_ticket (unpinned)');
  expect(checks.get('tools')?.action).toContain('agent-runtime capabilities pin');
  expect(checks.get('models')).toMatchObject({ status: 'warn', detail: 'not set: NOT_SET_HERE (main)' });
  await json(at, ['capabilities', 'pin', '--yes']);
  await rm(join(at.workspace, '.agent-runtime', 'runtime.db'), { force: true });
  expect((await checksOf(at)).get('tools')).toMatchObject({ status: 'ok' });
}, 60_000);

test('a journal that is no database fails its own check and leaves the others standing', async () => {
  const at = await place();
  await mkdir(join(at.workspace, '.agent-runtime'));
  await writeFile(join(at.workspace, '.agent-runtime', 'runtime.db'), 'no database');
  const checks = await checksOf(at, 1);
  expect(checks.get('storage')).toMatchObject({ status: 'fail' });
  expect(checks.get('storage')?.detail).toContain('runtime.db is not a database');
  expect(checks.get('configuration files')).toMatchObject({ status: 'ok' });
  expect(checks.get('trust')).toMatchObject({ status: 'ok', detail: 'bundled' });
  expect(checks.has('server desk')).toBe(true);
});

test('a state directory that is a file is named as one, and no rights are to be changed', async () => {
  const at = await place();
  await writeFile(at.state, '');
  const state = (await checksOf(at, 1)).get('state directory');
  expect(state).toMatchObject({ status: 'fail', detail: `${at.state} is not a directory` });
  expect(state?.action).not.toContain('chmod');
});

// Who may write everything is refused by a file system only.
test.runIf(process.platform === 'linux')(
  'a workspace that cannot be written is told before the first run fails',
  async () => {
    const at = await place();
    const readOnly = ['--dev-bind', '/', '/', '--ro-bind', at.workspace, at.workspace];
    const doctor = [process.execPath, MAIN, 'doctor', '--json', '--workspace', at.workspace];
    const ran = await new Promise<string>((resolve) => {
      execFile('bwrap', [...readOnly, ...doctor], { env: environment(at) }, (_failed, out) => resolve(out));
    });
    const { checks } = JSON.parse(ran) as { checks: Check[] };
    expect(checks.find((one) => one.check === 'storage')).toMatchObject({
      status: 'fail',
      detail: `${at.workspace} cannot be written (EROFS): no journal can be made`,
    });
  },
);
