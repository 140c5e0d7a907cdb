// The operator's log on standard error, as a real process writes it.
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { environment, MAIN, place, run } from './harness.ts';

test('a failure in the log says what failed', async () => {
  const at = await place();
  await mkdir(at.state, { mode: 0o700 });
  const child = spawn(process.execPath, [MAIN, 'serve', '--http', '--port', '0'], {
    cwd: at.workspace,
    env: environment(at),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stderr })) {
    const { msg, error } = JSON.parse(line) as { msg: string; error?: { message: string } };
    if (msg === 'serving') await writeFile(join(at.state, 'tokens.json'), 'no book');
    if (msg !== 'tokens could not be looked at') continue;
    expect(error?.message).toMatch(/tokens\.json cannot be read/);
    expect(error).not.toHaveProperty('stack');
    return;
  }
  expect.unreachable('the log ended');
});

test('a line of the log is JSON with nothing hidden in it', async () => {
  const at = await place();
  const odd = join(at.workspace, 'a\u202eb\u009bc');
  await mkdir(odd);
  const { err } = await run(at, ['serve', '--workspace', odd]);
  expect(err).toContain('a\\u202eb\\u009bc');
  expect(err).not.toMatch(/[\u202e\u009b]/);
  const lines = err.trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { workspace?: string }).workspace)).toContain(odd);
});

test('a line of the log has the directory that the environment calls PROJECT_PWD', async () => {
  const at = await place();
  const { err } = await run(at, ['serve'], { env: { PROJECT_PWD: at.workspace, LDAP_PASSWD: '/tmp/users' } });
  expect(err).toContain(at.workspace);
  expect(err).not.toContain('[REDACTED]');
});

test('a line of the log has no value that the environment calls a secret', async () => {
  const at = await place();
  const secret = 'canary-0123456789';
  const workspace = join(at.workspace, secret);
  await mkdir(workspace);
  const { err } = await run(at, ['serve', '--workspace', workspace], { env: { CANARY_TOKEN: secret } });
  expect(err).toContain('[REDACTED]');
  expect(err).not.toContain(secret);
});
