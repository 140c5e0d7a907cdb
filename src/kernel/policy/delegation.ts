// Owns delegated authority: which grant of identity.yaml a session acts under, what that grant covers, and what becomes of
// a call whose grant is gone. Judged at every decision, so neither a pause nor an approval outlives a revocation.
//
// D1: without a grant that names actor, principal and scope, nothing runs on somebody else's authority.
// D2: a grant covers what it lists; without a list its scope is the name of a tool or of a server, and covers just that.
import { showHidden } from '../../base/text.ts';
import type { Capability, DelegationGrant } from '../../config/types.ts';
import type { RuleContext } from './access-rules.ts';
import { AUTHORIZATION_MODES } from '../identity.ts';
import type { Delegation } from '../identity.ts';
import { deny, verdict } from './verdict.ts';

const MODES: ReadonlySet<string> = new Set(AUTHORIZATION_MODES);

const DEFAULTS = {
  authorizationMode: 'user_delegated_or_platform_owned',
  onRevoke: 'cancel_or_reapprove',
} as const;

const SHOWN = 120;

/** A longer mode is told by its length: whoever redacts this sentence could not know a secret that was cut. */
export function modeProblem(mode: string): string {
  const shown = mode.length <= SHOWN ? showHidden(mode) : `one of ${mode.length} characters`;
  return `Authorization mode is not supported: ${shown}`;
}

/** Why a claim is none, in the words of the source systems; undefined: its form is right. */
export function claimProblem(claim: Delegation): { field: string; why: string } | undefined {
  if (!MODES.has(claim.mode)) return { field: 'mode', why: modeProblem(claim.mode) };
  if (claim.mode === 'platform_owned') return undefined;
  const fields = [
    ['delegated_principal_id', claim.delegatedPrincipalId],
    ['delegated_scope', claim.delegatedScope],
  ] as const;
  const missing = fields.find(([, value]) => value.trim() === '');
  if (missing === undefined) return undefined;
  return { field: missing[0], why: `Delegated authorization field is required: ${missing[0]}` };
}

/** `stdio` in a grant is every process that this machine starts over stdio: their numbers are not known beforehand. */
export function grantOf(
  grants: readonly DelegationGrant[],
  actor: string,
  { delegatedPrincipalId, delegatedScope }: Delegation,
): DelegationGrant | undefined {
  return grants.find(
    (one) =>
      (one.actor === actor || (one.actor === 'stdio' && actor.startsWith('stdio:'))) &&
      one.principal === delegatedPrincipalId &&
      one.scope === delegatedScope,
  );
}

/** Whether the session's claim is one that needs a grant and has none. */
export function lacksGrant(
  grants: readonly DelegationGrant[],
  actor: string,
  delegation: Delegation,
): boolean {
  return delegation.mode !== 'platform_owned' && grantOf(grants, actor, delegation) === undefined;
}

/** D2 */
function covers(grant: DelegationGrant, { id, name, server }: Capability): boolean {
  if (grant.capabilities !== undefined) return grant.capabilities.includes(id);
  return [id, name, server].includes(grant.scope);
}

function allowsMode(setting: string, mode: Delegation['mode']): boolean {
  if (mode === 'platform_owned' || setting === 'any') return true;
  return setting === 'user_delegated_or_platform_owned' && mode === 'user_delegated';
}

/** Adds a denial, or a demand for a person, where the session's authority does not reach this call. */
export function checkDelegation({ plan, input, tool, found }: RuleContext): void {
  const { delegation } = input;
  if (delegation.mode === 'platform_owned') return;
  const shown = (text: string): string => plan.quote(text, SHOWN);
  const attributes = {
    'policy.authorization_mode': shown(delegation.mode),
    'policy.delegated_principal_id': shown(delegation.delegatedPrincipalId),
    'policy.delegated_scope': shown(delegation.delegatedScope),
  };
  const refuse = (alias: string, reason: string): void => {
    found.push(deny('run_precheck', reason, { aliases: [alias], attributes }));
  };
  const wrong = claimProblem(delegation);
  if (wrong !== undefined) {
    refuse('delegation_invalid', plan.quote(wrong.why));
    return;
  }
  const settings = plan.config.controls.delegation ?? DEFAULTS;
  if (!allowsMode(settings.authorizationMode, delegation.mode)) {
    refuse(
      'delegation_mode',
      `the mode ${delegation.mode} is not among those that runtime-controls.yaml allows`,
    );
    return;
  }
  const actor = input.session.actor ?? input.caller.actor;
  const grant = grantOf(input.grants ?? plan.config.identity.delegations, actor, delegation);
  const who = `${shown(delegation.delegatedPrincipalId)} for ${shown(delegation.delegatedScope)}`;
  const ask = (alias: string, reason: string): void => {
    found.push({
      ...verdict('approval_required', 'run_precheck', reason, { aliases: [alias], attributes }),
      rememberable: false,
    });
  };
  if (grant === undefined) {
    const reason = `the delegation by ${who} is not granted to this actor, or no longer`;
    if (settings.onRevoke === 'cancel') refuse('delegation_revoked', reason);
    else ask('delegation_revoked', reason);
  } else if (tool !== undefined && !covers(grant, tool.capability)) {
    refuse('delegation_scope', `the delegation by ${who} does not cover ${tool.capability.id}`);
  } else if (delegation.mode === 'human_approved' && tool?.capability.mode !== 'read') {
    ask('delegation_human', `it acts for ${who} in a mode in which a person approves each effect`);
  }
}
