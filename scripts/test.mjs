// Runs every test and keeps three promises about the run: no fewer tests than the committed count, no skip
// without a written reason, and a closing line `N passed, N failed` (`, N skipped` may follow).
//   npm test                     the gate
//   npm test -- --update         rewrites tests/expected-count.json after a green run
//   npm test -- tests/kernel     a part of the tests: the count is not compared
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const countFile = join(root, 'tests/expected-count.json');
const skipsFile = join(root, 'tests/allowed-skips.json');
const update = process.argv.includes('--update');
const filters = process.argv.slice(2).filter((arg) => arg !== '--update');

const report = runVitest();
const tests = report.testResults.flatMap((file) => file.assertionResults);
// A file that does not load reports no test: count it, or a broken import would read as green.
const brokenFiles = report.testResults.filter(
  (f) => f.status === 'failed' && f.assertionResults.length === 0,
);
const passed = tests.filter((t) => t.status === 'passed').length;
const failed = tests.filter((t) => t.status === 'failed').length + brokenFiles.length;
const skipped = tests.filter((t) => t.status !== 'passed' && t.status !== 'failed');

const complaints = [...failureComplaints(), ...skipComplaints(), ...countComplaints()];
if (complaints.length > 0) console.log(`\n${complaints.join('\n')}`);
console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
process.exit(complaints.length > 0 ? 1 : 0);

function runVitest() {
  const folder = mkdtempSync(join(tmpdir(), 'vitest-report-'));
  const output = join(folder, 'report.json');
  const args = ['run', '-c', 'configs/tools/vitest.config.ts', '--reporter=default', '--reporter=json'];
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  const run = spawnSync(process.execPath, [cli, ...args, `--outputFile.json=${output}`, ...filters], {
    cwd: root,
    stdio: 'inherit',
  });
  try {
    return { ...JSON.parse(readFileSync(output, 'utf8')), exitCode: run.status };
  } catch {
    // With no test file at all vitest writes no report; anything else without one is a failed run.
    return { testResults: [], exitCode: run.status };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function failureComplaints() {
  if (failed > 0) return [`${failed} failed`];
  return report.exitCode === 0 ? [] : [`vitest ended with ${report.exitCode}: an error outside any test`];
}

function skipComplaints() {
  const reasons = new Map(readJson(skipsFile, []).map((entry) => [entry.name, entry.reason]));
  return skipped
    .filter((t) => !reasons.get(t.fullName))
    .map((t) => `skipped without a reason in tests/allowed-skips.json: ${JSON.stringify(t.fullName)}`);
}

function countComplaints() {
  if (filters.length > 0) return [];
  const expected = readJson(countFile, { count: 0 }).count;
  const ran = passed + failed;
  if (update && failed === 0 && report.exitCode === 0) {
    writeFileSync(countFile, `{ "count": ${ran} }\n`);
    return [];
  }
  if (ran > expected) console.log(`\n${ran} tests ran, ${expected} are committed: update with --update`);
  return ran < expected ? [`${ran} tests ran, but ${expected} are committed: tests were lost`] : [];
}

function readJson(file, fallback) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return fallback;
    throw error;
  }
}
