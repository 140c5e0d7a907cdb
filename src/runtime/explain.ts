// Owns the question what would be decided for a call, in a session of the caller or in the one that a direct call would
// have, and for operators the one value that would flip it. Asking leaves no record, no session and no effect.
import type { JsonObject } from '../base/json.ts';
import { visibleRow } from '../inspect/visible.ts';
import type { CallRequest } from '../kernel/call.ts';
import { isOperator, NO_DELEGATION } from '../kernel/identity.ts';
import type { AuthorizationMode, Caller } from '../kernel/identity.ts';
import type { DirectCall } from '../pack/index.ts';
import { numberAt, objectAt, textAt } from '../pack/records.ts';
import type { Store, StoredRow } from '../store/contract.ts';
import { canonical } from './calls.ts';
import type { CallParts } from './calls.ts';
import type { RuntimeOptions } from './options.ts';

export interface Question {
  tool: string;
  args: unknown;
  session_id?: string;
  intent?: string;
}

function textOf(row: StoredRow, key: string): string | undefined {
  return textAt(row.body, key);
}

/** Calls that name no session are bounded by policy alone. */
function limitsOf({ body }: StoredRow): Pick<CallRequest['session'], 'limits'> {
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

interface ExplainParts extends CallParts {
  store: Store;
  options: Pick<RuntimeOptions, 'callerOf'>;
}

/** Whose session it is: what an operator asks is judged with its owner's roles and budgets, as its calls would be. */
function ownerOf(
  { config: { identity }, options: { callerOf } }: ExplainParts,
  caller: Caller,
  row: StoredRow,
): Caller {
  if (row.principal === caller.principal) return caller;
  const { tenant } = caller;
  const actor = textOf(row, 'actor_id') ?? '';
  const known =
    callerOf === undefined
      ? identity.principals.find((one) => one.id === row.principal && one.tenant === tenant)
      : callerOf(tenant, row.principal);
  const { roles, scopes } = known ?? (actor.startsWith('stdio:') ? identity.stdio : NOBODY);
  return { tenant, principal: row.principal, actor, roles, scopes, lane: textOf(row, 'lane') ?? 'default' };
}

/** The session as its row tells it: what it is bound to, and since when its budgets run. */
async function boundTo(
  parts: ExplainParts,
  asking: Caller,
  direct: DirectCall,
  id: string,
): Promise<DirectCall> {
  const row = await visibleRow(parts.store, asking, 'session', id);
  const caller = ownerOf(parts, asking, row);
  const intent = textOf(row, 'intent');
  const startedAt = textOf(row, 'started_at');
  const mode = textOf(row, 'authorization_mode') as AuthorizationMode | undefined;
  return {
    context: {
      ...direct.context,
      caller,
      sessionId: id,
      agentId: textOf(row, 'agent_id') ?? direct.context.agentId,
      delegation:
        mode === undefined
          ? NO_DELEGATION
          : {
              mode,
              delegatedPrincipalId: textOf(row, 'delegated_principal_id') ?? '',
              delegatedScope: textOf(row, 'delegated_scope') ?? '',
            },
    },
    session: {
      id,
      startedAt: startedAt === undefined ? row.updatedAt : Date.parse(startedAt),
      actor: textOf(row, 'actor_id') ?? caller.actor,
      lane: textOf(row, 'lane') ?? caller.lane,
      task: textOf(row, 'task_type') ?? direct.session.task,
      ...limitsOf(row),
      ...(intent === undefined ? {} : { intent }),
    },
  };
}

/** Throws NOT_FOUND for a session that is foreign or unknown. */
export async function explainPolicy(
  parts: ExplainParts,
  caller: Caller,
  call: Question,
): Promise<JsonObject> {
  const direct = await parts.pack.directView(caller);
  const { context, session } =
    call.session_id === undefined ? direct : await boundTo(parts, caller, direct, call.session_id);
  const request: CallRequest = {
    context,
    session: { ...session, ...(call.intent === undefined ? {} : { intent: call.intent }) },
    tool: canonical(parts.config, call.tool),
    args: call.args,
    toolCallId: parts.ids.next('call'),
  };
  const { decision, input } = await parts.kernel.examine(request);
  const view: JsonObject = {
    tool: request.tool,
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    reasons: decision.reasons,
    aliases: decision.aliases,
    on_deny: decision.onDeny,
    policy_digest: decision.policyDigest,
    attributes: decision.attributes,
    ...(decision.approval === undefined ? {} : { approver: decision.approval.approver }),
  };
  if (!isOperator(caller) || input === undefined) return view;
  const { causeView, flip } = await import('../kernel/policy/explain.ts');
  const { verdict, causes, single } = flip(parts.gate, input);
  const told = { verdict, causes: causes.map(causeView) };
  return { ...view, flip: single === undefined ? told : { ...told, single: causeView(single) } };
}
