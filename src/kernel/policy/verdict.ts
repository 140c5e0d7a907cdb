// Owns the making of verdicts, and how verdicts become one decision: deny > approval_required > allow.
import type { JsonObject } from '../../base/json.ts';
import type { Consequence, Policy, Scope, Verdict } from '../../config/types.ts';
import { consequenceOf, RULE_ORDER } from './decision.ts';
import type { Decision, Layer, RuleId, Verdicted } from './decision.ts';

interface Details {
  layer?: Layer;
  aliases?: string[];
  attributes?: JsonObject;
  onDeny?: Consequence;
}

const NO_ATTRIBUTES: JsonObject = Object.freeze({});

export function verdict(kind: Verdict, ruleId: RuleId, reason: string, details: Details): Verdicted {
  return {
    verdict: kind,
    ruleId,
    layer: details.layer ?? 'kernel',
    reason,
    aliases: details.aliases ?? [],
    onDeny: details.onDeny ?? 'tell_model',
    attributes: details.attributes ?? NO_ATTRIBUTES,
  };
}

export function deny(ruleId: RuleId, reason: string, details: Details): Verdicted {
  return verdict('deny', ruleId, reason, details);
}

/** Strictest first. */
function approverRank(approver: string): number {
  return approver.startsWith('role:') ? 2 : approver === 'principal' ? 0 : 1;
}

/** `manager` in a catalog is a role. */
export function catalogApprover(approver: string): string {
  const isKnown = approver === 'principal' || approver === 'other' || approver.startsWith('role:');
  return isKnown ? approver : `role:${approver}`;
}

function approvalOf(demands: readonly Verdicted[]): { approver: string; rememberable: boolean } {
  let approver = 'principal';
  let rememberable = true;
  for (const demand of demands) {
    const own = demand.approver ?? 'principal';
    if (approverRank(own) > approverRank(approver)) approver = own;
    rememberable &&= demand.rememberable === true;
  }
  return { approver, rememberable };
}

/**
 * Rules and catalog that ask two different roles, or a role and anybody but the principal, who may have that role: one
 * approval cannot meet both, and neither may be dropped.
 */
export function approverConflict(demands: readonly Verdicted[]): Verdicted | undefined {
  let first: Verdicted | undefined;
  for (const demand of demands) {
    const { approver = 'principal' } = demand;
    if (demand.verdict !== 'approval_required' || approver === 'principal') continue;
    if (first === undefined) first = demand;
    else if (first.approver !== approver) {
      const both = `${first.approver ?? ''} and ${approver}`;
      return deny('capability_rule', `two approvers are asked for, ${both}; one approval cannot meet both`, {
        layer: demand.layer,
        aliases: ['approver_conflict', ...first.aliases.slice(0, 1), ...demand.aliases.slice(0, 1)],
        attributes: { 'policy.approvers': [first.approver ?? '', approver] },
      });
    }
  }
  return undefined;
}

export interface Frame {
  policy: Policy;
  scopes: { requested: Scope[]; allowed: Scope[] };
}

const ORDER: ReadonlyMap<RuleId, number> = new Map(RULE_ORDER.map((rule, at) => [rule, at]));

function inOrder(a: Verdicted, b: Verdicted): number {
  return (ORDER.get(a.ruleId) ?? 0) - (ORDER.get(b.ruleId) ?? 0);
}

function decisionFrom(lead: Verdicted, others: Verdicted[], frame: Frame): Decision {
  const { verdict: kind, ruleId, layer, reason } = lead;
  // Verdicts of configured rules are shared between decisions and therefore frozen, attributes too.
  const aliases = [...lead.aliases];
  const { attributes } = lead;
  const reasons = [reason];
  for (const other of others) if (other !== lead) reasons.push(other.reason);
  const { policy, scopes } = frame;
  const { digest: policyDigest } = policy;
  const isOwn = ruleId === 'capability_rule' || kind !== 'deny';
  const onDeny = isOwn ? lead.onDeny : consequenceOf(policy, ruleId);
  return { verdict: kind, ruleId, layer, reasons, aliases, onDeny, policyDigest, attributes, scopes, others };
}

/** `found` holds every verdict that is not a plain allow; `allowed` is what is answered when there is none. */
export function combine(found: Verdicted[], allowed: Verdicted, frame: Frame): Decision {
  if (found.length === 0) return decisionFrom(allowed, found, frame);
  if (found.length > 1) found.sort(inOrder);
  const denial = found.find((entry) => entry.verdict === 'deny');
  if (denial !== undefined) return decisionFrom(denial, found, frame);
  const demand = found[0] ?? allowed;
  const decision = decisionFrom(demand, found, frame);
  decision.aliases = [...demand.aliases, 'escalate'];
  decision.approval = approvalOf(found);
  return decision;
}
