// Owns what a turn needs before anything else: that somebody proven asks, that the session is this agent's, and that a
// delegation is one that was granted.
import { RuntimeError } from '../../base/errors.ts';
import { showCut } from '../../base/text.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller, Delegation } from '../../kernel/identity.ts';
import { claimProblem, grantOf } from '../../kernel/policy/delegation.ts';
import type { TurnInput } from './contract.ts';

export interface Precheck {
  id: 'run_001' | 'run_002' | 'run_003' | 'run_010';
  name: 'tenant_missing' | 'principal_missing' | 'agent_identity_missing' | 'run_context_valid';
}

const VALID: Precheck = { id: 'run_010', name: 'run_context_valid' };

const NO_AGENT: Precheck = { id: 'run_003', name: 'agent_identity_missing' };

/** A run without a tenant, a principal or an agent does not begin. */
export function precheck(config: RuntimeConfig, caller: Caller): Precheck {
  const { requireTenant, denyIfPrincipalMissing } = config.policy.precheck;
  if (requireTenant && caller.tenant.trim() === '') return { id: 'run_001', name: 'tenant_missing' };
  if (denyIfPrincipalMissing && caller.principal.trim() === '') {
    return { id: 'run_002', name: 'principal_missing' };
  }
  return config.agent.id.trim() === '' ? NO_AGENT : VALID;
}

function refused({ id, name }: Precheck, why = ''): RuntimeError {
  return new RuntimeError('POLICY_DENIED', `The run may not begin: ${name}${why}.`, {
    policy_id: id,
    reason: name,
    rule_id: 'run_precheck',
  });
}

/** What was begun under one agent does not go on under another. */
export function assertOwnAgent(agentId: string, configured: string): void {
  if (agentId === configured) return;
  throw refused(NO_AGENT, `: ${showCut(agentId, 120)} is not the configured agent`);
}

/** `agentId`: whose session goes on; without it a new run begins. */
export function assertPrecheck(config: RuntimeConfig, caller: Caller, agentId?: string): void {
  const found = precheck(config, caller);
  if (found !== VALID) throw refused(found);
  if (agentId !== undefined) assertOwnAgent(agentId, config.agent.id);
}

function invalid({ field, why }: { field: string; why: string }): RuntimeError {
  return new RuntimeError('INVALID_INPUT', why, { field: `/authorization/${field}` });
}

/** The delegation of a new session: what the input claims, if the configuration grants exactly that to this actor. */
export function delegationOf(
  config: RuntimeConfig,
  caller: Caller,
  claimed: TurnInput['authorization'],
): Delegation {
  if (claimed === undefined) return NO_DELEGATION;
  const { mode, delegated_principal_id: principal = '', delegated_scope: scope = '' } = claimed;
  const claim = { mode, delegatedPrincipalId: principal, delegatedScope: scope };
  const wrong = claimProblem(claim);
  if (wrong !== undefined) throw invalid(wrong);
  if (mode === 'platform_owned' && principal === '' && scope === '') return NO_DELEGATION;
  const missing = claimProblem({ ...claim, mode: 'user_delegated' });
  if (missing !== undefined) throw invalid(missing);
  if (mode === 'platform_owned' || grantOf(config.identity.delegations, caller.actor, claim) === undefined) {
    throw new RuntimeError('POLICY_DENIED', 'This delegation is not granted to this actor.', {
      field: '/authorization',
      rule_id: 'run_precheck',
    });
  }
  return claim;
}

/** A session keeps the authorization that it was started with. */
export function assertSameDelegation(pinned: Delegation, claimed: TurnInput['authorization']): void {
  if (claimed === undefined) return;
  const isSame =
    claimed.mode === pinned.mode &&
    (claimed.delegated_principal_id ?? '') === pinned.delegatedPrincipalId &&
    (claimed.delegated_scope ?? '') === pinned.delegatedScope;
  if (isSame) return;
  throw new RuntimeError('INVALID_INPUT', '/authorization: a session keeps the one it was started with', {
    field: '/authorization',
  });
}
