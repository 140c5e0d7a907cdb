// Owns the question "what would change this decision": each cause taken away on its own, and the call decided again.
import type { JsonObject } from '../../base/json.ts';
import type { Decision, DecisionInput, Layer, RuleId, Verdicted } from './decision.ts';
import type { Gate } from './gate.ts';

export interface FlipCause {
  ruleId: RuleId;
  layer: Layer;
  /** The configured rule's id, or the id of the rule in the source systems. */
  source: string;
  reason: string;
  /** What the decision would be without this one cause. */
  becomes: Decision['verdict'];
}

export interface Flip {
  verdict: Decision['verdict'];
  /** The one value that flips the decision on its own; absent when there is none, or more than one is needed. */
  single?: FlipCause;
  /** Every verdict as strict as the decision. With more than one, all of them have to change. */
  causes: FlipCause[];
}

function causeOf(gate: Gate, input: DecisionInput, cause: Verdicted): FlipCause {
  const { ruleId, layer, reason, aliases } = cause;
  const becomes = gate.decideWithout(input, cause).verdict;
  return { ruleId, layer, source: aliases[0] ?? ruleId, reason, becomes };
}

/** A cause in the words of wire and command line. */
export function causeView({ ruleId, layer, source, reason, becomes }: FlipCause): JsonObject {
  return { rule_id: ruleId, layer, source, reason, becomes };
}

/** Pure. For operators only: it tells which single value to change. */
export function flip(gate: Gate, input: DecisionInput): Flip {
  const decision = gate.decide(input);
  const strict = decision.others.filter((entry) => entry.verdict === decision.verdict);
  const causes = strict.map((cause) => causeOf(gate, input, cause));
  const flipping = causes.filter((cause) => cause.becomes !== decision.verdict);
  const [single, ...more] = flipping;
  const base = { verdict: decision.verdict, causes };
  return single === undefined || more.length > 0 ? base : { ...base, single };
}
