// Owns what the row of a session says of the calls in it: whose they are, what they are bound to, and since when its budgets
// run.
import type { IdentityConfig } from '../config/types.ts';
import type { SessionBinding } from '../kernel/call.ts';
import { NO_DELEGATION } from '../kernel/identity.ts';
import type { AuthorizationMode, Caller, Delegation } from '../kernel/identity.ts';
import { numberAt, objectAt, textAt } from '../pack/records.ts';
import type { StoredRow } from '../store/contract.ts';
import type { CallerOf } from './configured-callers.ts';

export interface SessionFacts {
  caller: Caller;
  delegation: Delegation;
  agentId?: string;
  session: Omit<SessionBinding, 'task'> & Partial<Pick<SessionBinding, 'task'>>;
}

function textOf(row: StoredRow, key: string): string | undefined {
  return textAt(row.body, key);
}

/** Calls that name no session are bounded by policy alone. */
function limitsOf({ body }: StoredRow): Pick<SessionBinding, 'limits'> {
  if (textAt(body, 'kind') === 'default') return {};
  const limits = objectAt(body, 'limits');
  const maxIterations = numberAt(limits, 'max_turns_per_session');
  const maxCalls = numberAt(limits, 'max_tool_calls_per_session');
  return {
    limits: {
      ...(maxIterations === undefined ? {} : { maxIterations }),
      ...(maxCalls === undefined ? {} : { maxCalls }),
    },
  };
}

const NOBODY = { roles: [], scopes: [] };

export interface Known {
  config: { identity: IdentityConfig };
  callerOf: CallerOf;
}

/** Whose session it is: what an operator asks is judged with its owner's roles and budgets, as its calls would be. */
function ownerOf(row: StoredRow, asking: Caller, { config, callerOf }: Known): Caller {
  if (row.principal === asking.principal) return asking;
  const { tenant } = asking;
  const actor = textOf(row, 'actor_id') ?? '';
  const known = callerOf(tenant, row.principal);
  const { roles, scopes } = known ?? (actor.startsWith('stdio:') ? config.identity.stdio : NOBODY);
  return { tenant, principal: row.principal, actor, roles, scopes, lane: textOf(row, 'lane') ?? 'default' };
}

function delegationOf(row: StoredRow): Delegation {
  const mode = textOf(row, 'authorization_mode') as AuthorizationMode | undefined;
  if (mode === undefined) return NO_DELEGATION;
  return {
    mode,
    delegatedPrincipalId: textOf(row, 'delegated_principal_id') ?? '',
    delegatedScope: textOf(row, 'delegated_scope') ?? '',
  };
}

export function sessionFacts(row: StoredRow, asking: Caller, known: Known): SessionFacts {
  const caller = ownerOf(row, asking, known);
  const agentId = textOf(row, 'agent_id');
  const intent = textOf(row, 'intent');
  const task = textOf(row, 'task_type');
  const startedAt = textOf(row, 'started_at');
  return {
    caller,
    delegation: delegationOf(row),
    ...(agentId === undefined ? {} : { agentId }),
    session: {
      id: row.id,
      startedAt: startedAt === undefined ? row.updatedAt : Date.parse(startedAt),
      actor: textOf(row, 'actor_id') ?? caller.actor,
      lane: textOf(row, 'lane') ?? caller.lane,
      ...(task === undefined ? {} : { task }),
      ...limitsOf(row),
      ...(intent === undefined ? {} : { intent }),
    },
  };
}
