// Everything a change must pass, in one word. Stops at the first failure; the tests run last, so that their
// closing line is the last line of a good run.
import { spawnSync } from 'node:child_process';

const steps = [
  ['format', 'format:check'],
  ['lint', 'lint'],
  ['types', 'typecheck'],
  ['layers', 'layers'],
  ['dead code', 'deadcode'],
  ['requirements', 'requirements', '--check'],
  ['tests', 'test'],
];

for (const [title, script, ...rest] of steps) {
  const args = ['run', '--silent', script, ...(rest.length > 0 ? ['--', ...rest] : [])];
  console.log(`\n== ${title}: npm ${args.join(' ')}`);
  const started = performance.now();
  const { status } = spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) {
    console.error(`\n== ${title} failed`);
    process.exit(status ?? 1);
  }
  if (script !== 'test') console.log(`   ok, ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
