// Owns the names of failures: the mode of a run's failure and the reason it ended, from its records. One spelling.
import type { RuleId } from './decision.ts';

export const FAILURE_MODES = {
  F1: 'tool_call_failure',
  F2: 'retry_exhaustion',
  F3: 'schema_mismatch',
  F4: 'cycle_detection',
  F5: 'catalogued_unhandled',
  denied: 'policy_denied',
  budget: 'loop_budget',
  none: 'none',
} as const;
export type FailureMode = keyof typeof FAILURE_MODES;

export const TERMINAL_REASONS = [
  'final_answer',
  'loop_budget',
  'failure_mode_terminal',
  'policy_denial_terminal',
] as const;
export type TerminalReason = (typeof TERMINAL_REASONS)[number];

export type RetryOutcome = 'success' | 'transient_failure' | 'exhausted';

/** What one record of a run says to the classifier. */
export interface FailureRecord {
  /** Rules that denied. */
  denials?: readonly { ruleId: RuleId; onDeny: 'tell_model' | 'end_run' }[];
  retryOutcomes?: readonly RetryOutcome[];
  exceptionClass?: string;
}

export interface Classification {
  mode: FailureMode;
  name: (typeof FAILURE_MODES)[FailureMode];
  /** Why the run ended, if it ended by this; a denial that was only told to the model did not end it. */
  terminalReason: TerminalReason;
}

const ENDS: Readonly<Record<FailureMode, TerminalReason>> = {
  F1: 'final_answer',
  F2: 'failure_mode_terminal',
  F3: 'failure_mode_terminal',
  F4: 'policy_denial_terminal',
  F5: 'failure_mode_terminal',
  denied: 'policy_denial_terminal',
  budget: 'loop_budget',
  none: 'final_answer',
};

function modeOf(records: readonly FailureRecord[]): FailureMode {
  const denials = records.flatMap((record) => record.denials ?? []);
  const has = (rule: RuleId): boolean => denials.some(({ ruleId }) => ruleId === rule);
  const outcomes = records.flatMap((record) => record.retryOutcomes ?? []);
  if (has('arg_schema')) return 'F3';
  if (has('cycle_detection')) return 'F4';
  if (outcomes.includes('exhausted')) return 'F2';
  if (outcomes.includes('transient_failure') && outcomes.includes('success')) return 'F1';
  if (records.some((record) => record.exceptionClass !== undefined)) return 'F5';
  if (has('loop_budget')) return 'budget';
  return denials.length > 0 ? 'denied' : 'none';
}

/** Pure; the order of the tests is the precedence: F3, F4, F2, F1, F5, then every other denial. */
export function classify(records: readonly FailureRecord[]): Classification {
  const mode = modeOf(records);
  const isOnlyTold =
    mode === 'denied' &&
    !records.some(({ denials }) => denials?.some(({ onDeny }) => onDeny === 'end_run') === true);
  return { mode, name: FAILURE_MODES[mode], terminalReason: isOnlyTold ? 'final_answer' : ENDS[mode] };
}
