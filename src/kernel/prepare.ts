// Owns the first step of a call: from an untrusted request to the one checked object that everybody after reads.
import { canonicalJson, checkJson, DEFAULT_JSON_LIMITS, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { RuntimeError } from '../base/errors.ts';
import type { Capability } from '../config/types.ts';
import { actionDigest } from './approvals/digests.ts';
import { readHistory, repeatKey } from './budgets/counters.ts';
import type { CountedSession } from './budgets/counters.ts';
import type { CallRequest } from './call.ts';
import type { KernelDeps } from './deps.ts';
import type { ToolDefinition } from './execution/executor.ts';
import type { DecisionInput, PinState } from './policy/decision.ts';
import { resolvePaths } from './policy/resolve-paths.ts';

export interface PreparedCall {
  request: CallRequest;
  input: DecisionInput;
  capability: Capability | undefined;
  definition: ToolDefinition | undefined;
  args: JsonObject;
  counted: CountedSession;
  repeats: string;
  actionDigest: string;
}

function pinText(pin: PinState): string {
  return pin.state === 'pinned' || pin.state === 'declared' ? pin.digest : pin.state;
}

/** Throws INVALID_INPUT. */
export function parseArgs(raw: unknown): JsonObject {
  const value = checkJson(raw ?? {}, DEFAULT_JSON_LIMITS);
  if (!isObject(value)) {
    throw new RuntimeError('INVALID_INPUT', 'arguments must be an object', { field: '/arguments' });
  }
  return value;
}

/** Gathers the facts that deciding needs, and binds everything to one digest. */
export async function prepareCall(
  deps: KernelDeps,
  request: CallRequest,
  args: JsonObject,
): Promise<PreparedCall> {
  const { config, gate, store, clock } = deps;
  const { context, session, tool } = request;
  const capability = Object.hasOwn(config.capabilities, tool) ? config.capabilities[tool] : undefined;
  await deps.directory.refresh?.();
  const definition = capability === undefined ? undefined : deps.directory.definition(tool);
  const pin: PinState = definition?.pin ?? { state: 'unpinned' };
  if (definition !== undefined) await gate.prepare(definition);
  const now = clock.now();
  const counted: CountedSession = {
    tenant: context.caller.tenant,
    principal: context.caller.principal,
    sessionId: session.id,
    startedAt: session.startedAt,
    limits: session.limits,
  };
  const { windowSeconds } = config.policy.cycle;
  const repeats = repeatKey(counted, { tool, canonicalArgs: canonicalJson(args), now, windowSeconds });
  const paths =
    capability === undefined ? [] : await resolvePaths(args, capability, config.policy.sandbox.root);
  const history = await readHistory(store, config.policy, counted, { now, repeats });
  const input: DecisionInput = {
    tool,
    args,
    caller: context.caller,
    delegation: context.delegation,
    agentId: context.agentId,
    session: {
      id: session.id,
      lane: session.lane,
      task: session.task,
      ...(session.intent === undefined ? {} : { intent: session.intent }),
    },
    pin,
    paths,
    history,
    ...(capability === undefined ? {} : { capability }),
    ...(definition === undefined ? {} : { inputSchema: definition.inputSchema }),
    ...(session.limits === undefined ? {} : { limits: session.limits }),
  };
  const action = actionDigest({
    tenant: context.caller.tenant,
    principal: context.caller.principal,
    actor: session.actor,
    agent: context.agentId,
    delegation: context.delegation,
    session: session.id,
    tool,
    args,
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    pin: pinText(pin),
    policy: config.policy.digest,
  });
  return { request, input, capability, definition, args, counted, repeats, actionDigest: action };
}
