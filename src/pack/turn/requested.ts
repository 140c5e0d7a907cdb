// Owns what is said of the tools that a model asks for: each gets an id of ours and the kernel's decision, before anybody
// runs anything. A tool that the turn did not offer is refused here, by its own code, and its id can never run.
import { asRuntimeError } from '../../base/errors.ts';
import { showCut } from '../../base/text.ts';
import type { JsonObject } from '../../base/json.ts';
import type { KernelRule } from '../../config/types.ts';
import type { SessionBinding } from '../../kernel/call.ts';
import { canonicalId } from '../../kernel/catalog/catalog.ts';
import { decisionsOf } from '../../kernel/evidence/records.ts';
import { consequenceOf } from '../../kernel/policy/decision.ts';
import type { PackDeps } from '../deps.ts';
import { decisionView, textAt } from '../records.ts';
import type { DecisionView, RequestedTool } from './contract.ts';
import type { AskedTool, NormalTurn } from './normalize.ts';
import type { PreparedTurn } from './prepare.ts';

export interface DecidedTool extends RequestedTool {
  /** Why it may never run; undefined: the kernel decides when it is called. */
  refused?: 'TOOL_NOT_FOUND' | 'LIMIT_EXCEEDED' | 'POLICY_DENIED';
  /** Of a denial by several rules: this record is the only one that such a call may ever have. */
  decisions?: JsonObject[];
}

type Judged = Pick<DecidedTool, 'decision' | 'decisions'>;

/** Redacted and then cut, since a cut secret is not known. */
function quoted({ kernel }: PackDeps, text: string, most: number): string {
  const { value } = kernel.redact({ text });
  return showCut(textAt(value, 'text') ?? '', most);
}

function denial({ config: { policy } }: PackDeps, ruleId: KernelRule, reason: string): DecisionView {
  return {
    decision: 'deny',
    rule_id: ruleId,
    layer: 'session',
    reasons: [reason],
    policy_digest: policy.digest,
    ...(consequenceOf(policy, ruleId) === 'end_run' ? { on_deny: 'end_run' } : {}),
  };
}

async function kernelDecision(
  deps: PackDeps,
  turn: PreparedTurn,
  binding: SessionBinding,
  asked: AskedTool & { id: string },
): Promise<Judged> {
  try {
    const made = await deps.kernel.preview({
      context: turn.context,
      session: binding,
      tool: asked.name,
      args: asked.input,
      toolCallId: asked.id,
    });
    const decision = decisionView(made);
    return made.verdict === 'deny' ? { decision, ...decisionsOf(made) } : { decision };
  } catch (thrown) {
    const error = asRuntimeError(thrown);
    if (error.code === 'STORE_UNAVAILABLE') throw error;
    return { decision: denial(deps, 'kernel_error', quoted(deps, `${error.code}: ${error.message}`, 240)) };
  }
}

/** The binding under which a turn's calls are decided: the intent that the model narrowed to, if it did. */
export function callBinding(turn: PreparedTurn, intent: string): SessionBinding {
  return turn.intent.session === undefined ? turn.binding : { ...turn.binding, intent };
}

async function decideOne(
  deps: PackDeps,
  turn: PreparedTurn,
  binding: SessionBinding,
  asked: AskedTool,
): Promise<DecidedTool> {
  const { config, ids } = deps;
  const name = canonicalId(config, asked.name);
  const id = ids.next('call');
  const tool = { name, input: asked.input, tool_call_id: id };
  if (turn.exhausted !== undefined) {
    return { decision: denial(deps, 'loop_budget', turn.exhausted), refused: 'LIMIT_EXCEEDED', ...tool };
  }
  const isOffered = turn.tools.some(({ definition }) => definition.id === name);
  if (!isOffered && !Object.hasOwn(config.capabilities, name)) {
    const reason = `TOOL_NOT_FOUND: ${quoted(deps, name, 120)} is not in the governed catalog`;
    return { decision: denial(deps, 'inventory', reason), refused: 'TOOL_NOT_FOUND', ...tool };
  }
  const judged = await kernelDecision(deps, turn, binding, { id, ...tool });
  if (isOffered) return { ...judged, ...tool };
  if (judged.decision.decision === 'deny') return { ...judged, refused: 'POLICY_DENIED', ...tool };
  const reason = `TOOL_NOT_FOUND: ${quoted(deps, name, 120)} was not offered in this turn`;
  return { decision: denial(deps, 'inventory', reason), refused: 'TOOL_NOT_FOUND', ...tool };
}

/** Every requested tool with its id and decision, in the model's order. */
export async function decideRequested(
  deps: PackDeps,
  turn: PreparedTurn,
  normal: NormalTurn,
): Promise<DecidedTool[]> {
  const binding = callBinding(turn, normal.intent);
  const decided: DecidedTool[] = [];
  for (const asked of normal.tools) decided.push(await decideOne(deps, turn, binding, asked));
  return decided;
}

/** As evidence shows it, beside its arguments; those are sealed. */
export function requestedEvidence(tool: DecidedTool): JsonObject {
  const { name, tool_call_id: id, decision, decisions, refused } = tool;
  return {
    tool_call_id: id,
    tool: name,
    decision: decision.decision,
    rule_id: decision.rule_id,
    layer: decision.layer,
    reasons: decision.reasons,
    policy_digest: decision.policy_digest,
    ...(decision.on_deny === undefined ? {} : { on_deny: decision.on_deny }),
    ...(decisions === undefined ? {} : { decisions }),
    ...(refused === undefined ? {} : { refused }),
  };
}
