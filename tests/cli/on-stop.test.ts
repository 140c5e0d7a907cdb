// A process of its own: signals are told to whole processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';

const MODULE = new URL('../../dist/cli/on-stop.js', import.meta.url).href;
const PROGRAM = `
  const { onStop } = await import('${MODULE}');
  onStop((signal) => console.log('asked to stop by ' + signal));
  setInterval(() => undefined, 1000);
  console.log('listens');
`;

test.each([
  ['SIGINT', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGINT'],
] as const)('the first signal asks, the second one ends: %s, %s', async (first, second) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM]);
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  expect(await once(lines, 'line')).toEqual(['listens']);
  const said = once(lines, 'line');
  child.kill(first);
  expect(await said).toEqual([`asked to stop by ${first}`]);
  child.kill(second);
  expect(await ended).toEqual([null, second]);
});
