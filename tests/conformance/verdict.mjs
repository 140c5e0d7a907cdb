// Owns what a run says in the end: which failures the baseline expects, and whether it may expect them.
//
// B1  A failure that the baseline does not name is a failure; so is a baseline entry that passes.
// B2  An entry stands only where the SDK's own server fails the same check in the same run.
// B3  A run that checked nothing, or left out a scenario that counts, is a failure.

const FAILED = 'FAILURE';

export function keyOf({ scenario, check }) {
  return `${scenario}/${check}`;
}

function failures(checks) {
  return new Map(checks.filter((one) => one.scored && one.status === FAILED).map((one) => [keyOf(one), one]));
}

/** Scenarios by whether one of their checks failed; of those that count. */
export function countScenarios(checks) {
  const scored = checks.filter((one) => one.scored);
  const all = new Set(scored.map(({ scenario }) => scenario));
  const failed = new Set(scored.filter(({ status }) => status === FAILED).map(({ scenario }) => scenario));
  return { passed: all.size - failed.size, failed: failed.size };
}

function countChecks(checks) {
  const scored = checks.filter((one) => one.scored);
  const of = (status) => scored.filter((one) => one.status === status).length;
  return { passed: of('SUCCESS'), failed: of(FAILED), warnings: of('WARNING'), skipped: of('SKIPPED') };
}

function unscored(checks) {
  const { passed, failed } = countScenarios(
    checks.filter((one) => !one.scored).map((one) => ({ ...one, scored: true })),
  );
  return { passed, failed };
}

/** `baseline`: entries `{suite, revision?, scenario, check, reason}` of this run. */
export function judge({ ours, sdk, baseline }) {
  const [our, theirs] = [failures(ours.checks), failures(sdk.checks)];
  const expected = new Map(baseline.map((entry) => [keyOf(entry), entry]));
  const problems = [];
  for (const [key, { error = '' }] of our) {
    if (!expected.has(key)) problems.push(`unexpected failure: ${key}: ${error}`);
  }
  for (const key of expected.keys()) {
    if (!our.has(key)) problems.push(`a baseline entry passes now: ${key}; take it out`);
    else if (!theirs.has(key)) problems.push(`a baseline entry that the SDK's server passes: ${key}`);
  }
  for (const [who, { checks, missing, said }] of Object.entries({ ours, sdk })) {
    if (checks.filter((one) => one.scored).length === 0)
      problems.push(`${who}: nothing was checked: ${said}`);
    for (const name of missing) problems.push(`${who}: the scenario ${name} was not run`);
  }
  const expectedFailures = [...our.keys()].filter((key) => expected.has(key)).length;
  return { problems, expectedFailures, checks: countChecks(ours.checks), unscored: unscored(ours.checks) };
}

/** The closing line of one run. */
export function summary(run, { ours, sdk }, verdict) {
  const { passed, failed } = countScenarios(ours.checks);
  return {
    suite: run.suite,
    revision: run.revision ?? 'all',
    passed,
    failed,
    expected_failures: verdict.expectedFailures,
    checks: verdict.checks,
    not_scored: verdict.unscored,
    sdk_server: countScenarios(sdk.checks),
    ok: verdict.problems.length === 0,
  };
}
