// Shows that what a command says to do next can be done: next steps, remedies, places.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { SESSION } from '../kernel/rig.ts';
import { edit, journal, json, MAIN, place, run } from './harness.ts';
import { openScreen } from './screen.ts';

test('init says the next steps, and each is a command that there is', async () => {
  const at = await place();
  const { out } = await run(at, ['init']);
  const steps = [...out.matchAll(/^ {2}agent-runtime (.+)$/gm)].map(([, words = '']) => words.split(' '));
  expect(steps.map(([first]) => first)).toEqual(['capabilities', 'doctor', 'serve', 'trust']);
  for (const words of steps) expect((await run(at, [...words, '--help'])).code).toBe(0);
  const elsewhere = await json(at, ['init', '--workspace', at.workspace], 0);
  expect(elsewhere.next).toContain('agent-runtime capabilities pin');
  const from = await run(at, ['init', '--workspace', at.workspace], { cwd: join(at.workspace, '..') });
  expect(from.out).toContain(`agent-runtime capabilities pin --workspace ${at.workspace}`);
});

test('a configuration that nobody trusts is named with its place, and the remedy names the flags', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/policy.yaml', ['max_iterations: 10', 'max_iterations: 11']);
  const refused = await run(at, ['sessions', 'start', '--message', 'hello']);
  expect(refused.code).toBe(3);
  expect(refused.err).toContain(`The configuration in ${join(at.workspace, 'configs')} is not trusted yet`);
  expect(refused.err).toContain(`for the workspace ${at.workspace}`);
  expect(refused.err).toContain('with the same --workspace and --config');
});

test('pinning without a terminal shows the difference and the command that accepts it', async () => {
  const at = await place();
  const refused = await run(at, ['capabilities', 'pin', 'desk']);
  expect(refused).toMatchObject({ code: 3, out: 'desk: left as it was\n' });
  expect(refused.err).toContain('desk would change:');
  const [, words = ''] = /Accept this with: agent-runtime (.+)/.exec(refused.err) ?? [];
  expect(words).toBe('capabilities pin desk --yes');
  expect((await run(at, words.split(' '))).code).toBe(0);
});

test('no command that carries something out takes a state directory inside the workspace', async () => {
  const at = await place();
  const env = { AGENT_RUNTIME_STATE: join(at.workspace, 'state') };
  for (const words of [
    ['serve'],
    ['worker'],
    ['sessions', 'start', '--message', 'hello'],
    ['workflows', 'show', 'ses_1'],
    ['capabilities', 'pin', '--yes'],
  ]) {
    const refused = await run(at, words, { env });
    expect({ words, code: refused.code, out: refused.out }).toEqual({ words, code: 2, out: '' });
    expect(refused.err).toContain('keys and trust must lie outside');
  }
  await expect(readFile(join(at.workspace, '.agent-runtime', 'runtime.db'))).rejects.toThrow();
});

test('what the demo prints to look around can be typed in any folder, and starts this installation', async () => {
  const at = await place();
  const demo = await run(at, ['demo', '--yes']);
  expect(demo.code).toBe(0);
  const lines = demo.err.match(/AGENT_RUNTIME_STATE=.+/g) ?? [];
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    expect(line).toContain(` node ${MAIN} `);
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd: at.workspace });
    expect(stdout).not.toContain('Nothing here.');
  }
}, 60_000);

test('a timeline fits a screen of eighty columns, and nothing of it is lost', async () => {
  const at = await place();
  await journal(at);
  const wide = (await run(at, ['sessions', 'show', SESSION])).out;
  const told = wide.slice(wide.indexOf('seq ')).match(/(?<= )\w+=\S+/g) ?? [];
  expect(told.length).toBeGreaterThan(3);
  const screen = await openScreen(at, ['sessions', 'show', SESSION], '', 80);
  const shown = await screen.shows(/EXIT:\d/);
  const lines = shown.split('\n').map((line) => line.trimEnd());
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const timeline = lines.slice(lines.findIndex((line) => line.startsWith('seq')));
  const joined = timeline.map((line) => line.trim()).join(' ');
  for (const fact of told) expect(joined).toContain(fact);
});
