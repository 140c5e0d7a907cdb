// Owns the names of failures: what went wrong on the way of a run, from its records, and why it ended, from how it stands.
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
  /** Empty once erased. */
  evidence: JsonObject;
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
function denialsIn({ type, evidence }: Told): JsonObject[] {
  if (type === 'call_denied') return [evidence];
  const { requested_tools: asked } = evidence;
  if (type !== 'turn_completed' || !Array.isArray(asked)) return [];
  return asked.filter((one) => isObject(one)).filter(({ refused }) => refused !== undefined);
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

/** Hears the records of a run in their order, and says what a reader is told of its failures beside its state. */
export class Failures {
  readonly #seen: Seen = { denials: new Set(), calls: new Set() };
  /** A run that is one direct call has no turn. */
  #isOneCall = true;
  #lastDenial: JsonObject | undefined;
  #endedBy: JsonObject | undefined;
  #lastCode: string | undefined;

  add(told: Told): void {
    const { type, evidence } = told;
    const { denials, calls } = this.#seen;
    if (type.startsWith('turn_')) this.#isOneCall = false;
    for (const denial of denialsIn(told)) {
      denials.add(denial.rule_id as RuleId);
      this.#lastDenial = denial;
      if (denial.on_deny === 'end_run') this.#endedBy = denial;
    }
    if (evidence.code === 'LIMIT_EXCEEDED') denials.add('loop_budget');
    if (typeof evidence.code === 'string') this.#lastCode = evidence.code;
    const { attempts, status } = evidence;
    // What somebody canceled did not fail.
    if (type !== 'call_finished' || status === 'canceled' || !Array.isArray(attempts)) return;
    calls.add(cameTo(attempts));
  }

  view(status: string): JsonObject {
    const mode = modeOf(this.#seen);
    return {
      failure_mode: mode,
      failure_name: FAILURE_MODES[mode],
      terminal_reason: this.#reasonOf(status) ?? null,
    };
  }

  /** N1; undefined: it has not ended, or somebody ended it. */
  #reasonOf(status: string): TerminalReason | undefined {
    switch (status) {
      case 'success':
        return 'final_answer';
      case 'denied': {
        // By what ended it: the denial that ends runs; one direct call ends with its denial.
        const denial = this.#isOneCall ? this.#lastDenial : this.#endedBy;
        return BY_RULE[denial?.rule_id as RuleId] ?? 'policy_denial_terminal';
      }
      case 'failed':
        return this.#lastCode === 'LIMIT_EXCEEDED' ? 'loop_budget' : 'failure_mode_terminal';
      default:
        return undefined;
    }
  }
}
