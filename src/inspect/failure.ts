// Owns the names of failures: what went wrong on the way of a run, from its records, and why it ended, from how it stands. Pure.
//
// N1  What went wrong did not end the run by that alone: a model that is told of a failure may go on. So the reason of the end
//     follows from the run's own status, never from a failure on its way.
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { RuleId } from '../kernel/policy/decision.ts';

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

/** A record of a run, as far as it is told here. */
export interface Told {
  type: string;
  /** undefined once erased. */
  evidence: JsonObject | undefined;
}

/** What the tries of a call came to; a call that succeeded at once is not told of. */
type Came = 'exhausted' | 'failed' | 'recovered';

interface Seen {
  denials: Set<RuleId>;
  calls: Set<Came>;
}

function cameTo(attempts: readonly JsonValue[]): Came {
  const last = attempts.at(-1);
  const outcome = isObject(last) ? last.outcome : undefined;
  if (outcome === 'success') return 'recovered';
  return outcome === 'exhausted' ? 'exhausted' : 'failed';
}

/** The denials that a record tells of. What a turn asked for and was refused has no record of its own. */
function denialsIn({ type, evidence = {} }: Told): JsonObject[] {
  if (type === 'call_denied') return [evidence];
  const { requested_tools: asked } = evidence;
  if (type !== 'turn_completed' || !Array.isArray(asked)) return [];
  return asked.filter((one) => isObject(one)).filter(({ refused }) => refused !== undefined);
}

function see(told: readonly Told[]): Seen {
  const seen: Seen = { denials: new Set(), calls: new Set() };
  for (const one of told) {
    const { type, evidence = {} } = one;
    for (const { rule_id: rule } of denialsIn(one)) seen.denials.add(rule as RuleId);
    if (evidence.code === 'LIMIT_EXCEEDED') seen.denials.add('loop_budget');
    const { attempts, status } = evidence;
    // What somebody canceled did not fail.
    if (type !== 'call_finished' || status === 'canceled' || !Array.isArray(attempts)) continue;
    seen.calls.add(cameTo(attempts));
  }
  return seen;
}

/** The order of the tests is the precedence: F3, F4, F2, F1, F5, then every other denial. */
function modeOf({ denials, calls }: Seen): FailureMode {
  if (denials.has('arg_schema')) return 'F3';
  if (denials.has('cycle_detection')) return 'F4';
  if (calls.has('exhausted')) return 'F2';
  if (calls.has('recovered')) return 'F1';
  if (calls.has('failed')) return 'F5';
  if (denials.has('loop_budget')) return 'budget';
  return denials.size > 0 ? 'denied' : 'none';
}

/** A mode that a rule finds is a failure of the call, not a refusal of what it would do. */
const BY_RULE: Partial<Record<RuleId, TerminalReason>> = {
  arg_schema: 'failure_mode_terminal',
  loop_budget: 'loop_budget',
};

/** By what ended it: the denial that ends runs. A run that is one direct call has no turn, and ends with its denial. */
function reasonOfDenial(told: readonly Told[]): TerminalReason {
  const denials = told.flatMap(denialsIn);
  const isOneCall = !told.some(({ type }) => type.startsWith('turn_'));
  const last = isOneCall ? denials.at(-1) : denials.findLast(({ on_deny: then }) => then === 'end_run');
  return BY_RULE[last?.rule_id as RuleId] ?? 'policy_denial_terminal';
}

/** N1; undefined: it has not ended, or somebody ended it. */
function reasonOf(status: string, told: readonly Told[]): TerminalReason | undefined {
  switch (status) {
    case 'success':
      return 'final_answer';
    case 'denied':
      return reasonOfDenial(told);
    case 'failed': {
      const last = told.findLast(({ evidence }) => typeof evidence?.code === 'string');
      return last?.evidence?.code === 'LIMIT_EXCEEDED' ? 'loop_budget' : 'failure_mode_terminal';
    }
    default:
      return undefined;
  }
}

/** What a reader of a run is told beside its state. */
export function failureView(status: string, told: readonly Told[]): JsonObject {
  const mode = modeOf(see(told));
  return {
    failure_mode: mode,
    failure_name: FAILURE_MODES[mode],
    terminal_reason: reasonOf(status, told) ?? null,
  };
}
