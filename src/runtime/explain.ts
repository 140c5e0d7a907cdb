// Owns the question what would be decided for a call, in a session of the caller or in the one that a direct call would
// have, and for operators the one value that would flip it. Asking leaves no record, no session and no effect.
import type { JsonObject } from '../base/json.ts';
import { visibleRow } from '../inspect/visible.ts';
import type { CallRequest } from '../kernel/call.ts';
import { canonicalId } from '../kernel/catalog/catalog.ts';
import { isOperator } from '../kernel/identity.ts';
import type { Caller } from '../kernel/identity.ts';
import type { DirectCall } from '../pack/index.ts';
import type { Store } from '../store/contract.ts';
import { configuredCallers } from './configured-callers.ts';
import type { CallParts } from './calls.ts';
import type { RuntimeOptions } from './options.ts';
import { sessionFacts } from './session-facts.ts';

export interface Question {
  tool: string;
  args: unknown;
  session_id?: string;
  intent?: string;
}

interface ExplainParts extends CallParts {
  store: Store;
  options: Pick<RuntimeOptions, 'callerOf'>;
}

/** In a session there is, whoever's it is. */
async function boundTo(
  { store, config, options }: ExplainParts,
  asking: Caller,
  direct: DirectCall,
  id: string,
): Promise<DirectCall> {
  const row = await visibleRow(store, asking, 'session', id);
  const callerOf = options.callerOf ?? configuredCallers(config);
  const { session, ...facts } = sessionFacts(row, asking, { config, callerOf });
  return {
    context: { ...direct.context, ...facts, sessionId: id },
    session: { task: direct.session.task, ...session },
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
    tool: canonicalId(parts.config, call.tool),
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
