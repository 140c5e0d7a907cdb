// The types of verdict.mjs, for tests in TypeScript.
export interface Check {
  scenario: string;
  check: string;
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  scored: boolean;
  error?: string;
}

export interface Found {
  checks: Check[];
  missing: string[];
  said: string;
}

export interface BaselineEntry {
  suite: string;
  revision: string;
  scenario: string;
  check: string;
  reason: string;
}

export interface Verdict {
  problems: string[];
  expectedFailures: number;
}

export function judge(given: { ours: Found; sdk: Found; baseline: BaselineEntry[] }): Verdict;
export function summary(
  run: { suite: string; revision?: string },
  found: { ours: Found; sdk: Found },
  verdict: Verdict,
): Record<string, unknown>;
