// Owns one run of the public suite against one URL, and what it found, check by check.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PRELOAD = new URL('./with-token.mjs', import.meta.url).href;
const LIMIT_MS = 240_000;

/** `revision` is undefined where the release has no sets of its own and runs all that it has. */
export const RUNS = [
  { suite: 'conformance@0.1.16', use: 'release', era: 'legacy', args: [] },
  {
    suite: 'conformance@0.2.0-alpha.12',
    use: 'next',
    revision: '2025-11-25',
    era: 'legacy',
    args: ['--requirements', '2025-11-25'],
  },
  {
    suite: 'conformance@0.2.0-alpha.12',
    use: 'next',
    revision: '2026-07-28',
    era: 'modern',
    args: ['--requirements', '2026-07-28'],
  },
];

function runSuite(node, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-20_000)));
    }
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, said });
    });
  });
}

const NAMED = /^(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/;

/** Scenario names that the requirement set counts; undefined for a release without sets. */
async function scoredIn(suitePath, revision) {
  if (revision === undefined) return undefined;
  const { parse } = await import('yaml');
  const file = new URL(`../requirements/${revision}.yaml`, `file://${suitePath}`);
  return new Set(parse(await readFile(fileURLToPath(file), 'utf8')).server);
}

/** A folder begins with the leg that it is of; some scenarios are named like that themselves. */
function scenarioOf(folder, known) {
  const whole = folder.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
  const [, bare] = NAMED.exec(folder) ?? [];
  return known?.has(whole) && !known.has(bare) ? whole : bare;
}

/** Every check: `{scenario, check, status, scored, error?}`. */
export async function runChecks(side, run, target) {
  const out = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const { origin } = new URL(target.url);
    const env =
      target.token === undefined ? {} : { CONFORMANCE_ORIGIN: origin, CONFORMANCE_TOKEN: target.token };
    const suite = side.suites[run.use];
    const preload = target.token === undefined ? [] : ['--import', PRELOAD];
    const { code, said } = await runSuite(
      side.node,
      [...preload, suite, 'server', '--url', target.url, ...run.args, '-o', out],
      env,
    );
    const scored = await scoredIn(suite, run.revision);
    const checks = [];
    for (const folder of (await readdir(out)).sort()) {
      const scenario = scenarioOf(folder, scored);
      const found = JSON.parse(await readFile(join(out, folder, 'checks.json'), 'utf8'));
      for (const { id, status, errorMessage } of found) {
        const isScored = scored === undefined || scored.has(scenario);
        checks.push({
          scenario,
          check: id,
          status,
          scored: isScored,
          ...(errorMessage ? { error: errorMessage } : {}),
        });
      }
    }
    const missing = [...(scored ?? [])].filter((name) => !checks.some((one) => one.scenario === name));
    return { code, said, checks, missing };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
