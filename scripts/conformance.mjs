// Runs the public MCP server conformance suite against our HTTP server, as a user starts it, with the suite's fixtures
// offered by a server behind the gateway; and the same suite against that server by itself. Needs `npm run build`.
//   npm run conformance -- --json
//   npm run conformance -- --revision 2026-07-28       one run of the three
//   npm run conformance -- --checks                    every check of ours
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { installSuites } from '../tests/conformance/suite-install.mjs';
import { startEverything, startGateway } from '../tests/conformance/place.mjs';
import { runChecks, RUNS } from '../tests/conformance/suite.mjs';
import { judge, summary } from '../tests/conformance/verdict.mjs';

const BASELINE = new URL('../tests/conformance/baseline.json', import.meta.url);

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    revision: { type: 'string' },
    checks: { type: 'boolean' },
    log: { type: 'boolean' },
  },
});

function say(text) {
  if (!values.json) console.log(text);
}

async function against(start, side, run) {
  const target = await start();
  try {
    return await runChecks(side, run, target);
  } finally {
    if (values.log) console.error(target.log?.());
    await target.close();
  }
}

async function runOne(side, run, baseline) {
  const { direct, behind } = side.servers;
  const sdk = await against(() => startEverything(side.node, direct), side, run);
  const ours = await against(() => startGateway(side.node, behind, run.era), side, run);
  const own = baseline.filter((one) => one.suite === run.suite && one.revision === (run.revision ?? 'all'));
  const verdict = judge({ ours, sdk, baseline: own });
  if (values.checks) for (const check of ours.checks) console.log(JSON.stringify(check));
  for (const problem of verdict.problems) console.error(problem);
  return summary(run, { ours, sdk }, verdict);
}

function print(line) {
  if (values.json) {
    console.log(JSON.stringify(line));
    return;
  }
  const { suite, revision, passed, failed, expected_failures, sdk_server: sdk } = line;
  console.log(
    `${suite} ${revision}: ${passed} scenarios passed, ${failed} failed, ${expected_failures} of these expected; the SDK's server: ${sdk.passed} passed, ${sdk.failed} failed`,
  );
}

const chosen = RUNS.filter(({ revision }) => values.revision === undefined || revision === values.revision);
if (chosen.length === 0) {
  console.error(`there is no revision ${values.revision}`);
  process.exit(2);
}
const side = await installSuites(say);
const baseline = JSON.parse(await readFile(BASELINE, 'utf8'));
const lines = [];
for (const run of chosen) {
  const line = await runOne(side, run, baseline);
  lines.push(line);
  print(line);
}
process.exitCode = lines.every(({ ok }) => ok) ? 0 : 1;
