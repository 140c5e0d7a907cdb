// What a conformance run may pass over, and that the committed baseline and side install keep to it. The run itself is
// `npm run conformance`.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { judge, summary } from './verdict.mjs';
import type { BaselineEntry, Check, Found } from './verdict.mjs';

const here = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

function found(...checks: Partial<Check>[]): Found {
  const of = { scenario: 's', check: 'c', status: 'SUCCESS', scored: true } as const;
  return { checks: checks.map((one) => ({ ...of, ...one })), missing: [], said: '' };
}

const FAILS = { status: 'FAILURE', error: 'no' } as const;
const ENTRY: BaselineEntry = { suite: 'x', revision: 'all', scenario: 's', check: 'c', reason: 'because' };

test('a failure that is not in the baseline fails the run; one that does not count does not', () => {
  const sdk = found({});
  expect(judge({ ours: found({}), sdk, baseline: [] }).problems).toEqual([]);
  expect(judge({ ours: found(FAILS), sdk, baseline: [] }).problems).toEqual(['unexpected failure: s/c: no']);
  const unscored = found({}, { ...FAILS, check: 'd', scored: false });
  expect(judge({ ours: unscored, sdk, baseline: [] }).problems).toEqual([]);
});

test("an entry of the baseline stands only while we fail, and the SDK's server fails the same", () => {
  const both = judge({ ours: found(FAILS), sdk: found(FAILS), baseline: [ENTRY] });
  expect(both).toMatchObject({ problems: [], expectedFailures: 1 });
  expect(judge({ ours: found(FAILS), sdk: found({}), baseline: [ENTRY] }).problems).toEqual([
    "a baseline entry that the SDK's server passes: s/c",
  ]);
  expect(judge({ ours: found({}), sdk: found(FAILS), baseline: [ENTRY] }).problems).toEqual([
    'a baseline entry passes now: s/c; take it out',
  ]);
});

test('a run that did no work, or left something out, fails', () => {
  const none = judge({ ours: { checks: [], missing: ['a'], said: 'crash' }, sdk: found({}), baseline: [] });
  expect(none.problems).toEqual(['ours: nothing was checked: crash', 'ours: the scenario a was not run']);
});

test('a scenario has passed when none of its checks failed', () => {
  const ours = found({}, { ...FAILS, check: 'd' }, { scenario: 't' });
  const sdk = found({}, { scenario: 't' });
  const verdict = judge({ ours, sdk, baseline: [] });
  expect(summary({ suite: 'x' }, { ours, sdk }, verdict)).toMatchObject({
    suite: 'x',
    revision: 'all',
    passed: 1,
    failed: 1,
    expected_failures: 0,
    sdk_server: { passed: 2, failed: 0 },
    ok: false,
  });
});

test('each entry of the baseline says of which check it is and why', () => {
  const entries = JSON.parse(here('baseline.json')) as Record<string, string>[];
  for (const entry of entries) {
    expect(Object.keys(entry).sort()).toEqual(['check', 'reason', 'revision', 'scenario', 'suite']);
    expect(entry['reason']?.length).toBeGreaterThan(20);
  }
});

test('what is installed beside the product is fixed exactly, and the server that is compared with is the one named', () => {
  const { dependencies, optionalDependencies } = JSON.parse(here('side/package.json')) as Record<
    'dependencies' | 'optionalDependencies',
    Record<string, string>
  >;
  for (const version of Object.values({ ...dependencies, ...optionalDependencies })) {
    expect(version).toMatch(/^(?:npm:@[\w/-]+@)?\d+\.\d+\.\d+(?:-alpha\.\d+)?$/);
  }
  const { packages } = JSON.parse(here('side/package-lock.json')) as {
    packages: Record<string, { version?: string; integrity?: string; resolved?: string }>;
  };
  for (const [name, { version, integrity, resolved }] of Object.entries(packages)) {
    if (name === '') continue;
    expect({ name, resolved, isFixed: version !== undefined && integrity !== undefined }).toEqual({
      name,
      resolved: undefined,
      isFixed: true,
    });
  }
  const { sha256 } = JSON.parse(here('everything-server.json')) as { sha256: string };
  expect(createHash('sha256').update(here('everything-server.ts.txt')).digest('hex')).toBe(sha256);
});
