// Owns deciding many calls without effect: the kernel's own gate over definitions and usage that are only supposed.
// D1  Nothing is recorded, started or looked up but the paths that arguments name.
// D2  Within a session every allowed call counts as one that succeeded; a line without a session stands alone.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';
import { PastIndex } from '../../kernel/policy/past.ts';
import type { HeardLine } from './heard-line.ts';
import { showCut } from '../../base/text.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { addCall, NO_USAGE } from '../../kernel/budgets/usage.ts';
import { canonicalId } from '../../kernel/catalog/catalog.ts';
import type { ToolDirectory } from '../../kernel/execution/executor.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller } from '../../kernel/identity.ts';
import { createGate } from '../../kernel/policy/gate.ts';
import type { Gate } from '../../kernel/policy/gate.ts';
import type { CallHistory, Decision, DecisionInput, Usage } from '../../kernel/policy/decision.ts';
import { resolvePaths } from '../../kernel/policy/resolve-paths.ts';
import type { CallerOf } from '../../runtime/configured-callers.ts';
import { localCaller } from '../identity.ts';
import type { CallLine } from './call-line.ts';

/** What one session has used so far. */
interface Counted {
  usage: Usage;
  repeats: Map<string, number>;
  past: PastIndex;
  /** The last call of each tool. */
  last: Map<string, string>;
}

export interface Decider {
  readonly gate: Gate;
  readonly policyDigest: string;
  /** The gate's input for a call; for explaining. */
  input(call: CallLine): Promise<DecisionInput>;
  /** Decides, and counts the call when it is allowed (D2). */
  decide(call: CallLine): Promise<Decision>;
  /** What was said or answered in a session before its next call. */
  hear(line: HeardLine): void;
}

/** An unknown principal has no role and works in the default lane. */
function callers(config: RuntimeConfig, callerOf: CallerOf): (call: CallLine) => Caller {
  const local = localCaller(config.identity);
  const nobody = { roles: [], scopes: [], lane: 'default' };
  return ({ tenant = local.tenant, principal = local.principal }) => ({
    ...(callerOf(tenant, principal) ?? nobody),
    ...{ tenant, principal, actor: local.actor },
  });
}

function repeatKey(tool: string, args: CallLine['args']): string {
  return createHash('sha256')
    .update(`${tool}\n${canonicalJson(args)}`)
    .digest('base64')
    .slice(0, 24);
}

function historyOf(config: RuntimeConfig, counted: Counted | undefined, key: string): CallHistory {
  const session = counted?.usage ?? NO_USAGE;
  const { perPrincipal, perTenant } = config.policy.loopBudget;
  return {
    repeats: counted?.repeats.get(key) ?? 0,
    session,
    // Other lines are independent, so the windows hold what this session used and nothing else.
    ...(perPrincipal === undefined ? {} : { principal: session }),
    ...(perTenant === undefined ? {} : { tenant: session }),
  };
}

function textValue(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

/** An allowed call is supposed to have succeeded (D2); what it answered is said by a later tool_result, if at all. */
function count(counted: Counted, { capability, tool, args }: DecisionInput, key: string): void {
  counted.usage = addCall(counted.usage, { mode: capability?.mode ?? 'write', wallSeconds: 0 });
  counted.repeats.set(key, (counted.repeats.get(key) ?? 0) + 1);
  const callId = `${tool} ${counted.usage.calls}`;
  counted.past.started(callId, { tool, args });
  counted.past.ended(callId, 'done');
  counted.last.set(tool, callId);
}

function answered(counted: Counted, tool: string, config: RuntimeConfig, text: string): void {
  const { server, mode } = config.capabilities[tool] ?? {};
  const record = counted.last.get(tool) ?? 'tool_result';
  counted.past.ended(record, 'done', textValue(text));
  const source = { record, tool, isRead: mode === 'read' };
  counted.past.addUntrusted(text, server === undefined ? source : { ...source, server });
}

function createSessions(): { get(id: string | undefined): Counted | undefined; of(id: string): Counted } {
  const sessions = new Map<string, Counted>();
  return {
    get: (id) => (id === undefined ? undefined : sessions.get(id)),
    of(id) {
      const counted = sessions.get(id) ?? {
        usage: NO_USAGE,
        repeats: new Map<string, number>(),
        past: new PastIndex(),
        last: new Map<string, string>(),
      };
      sessions.set(id, counted);
      return counted;
    },
  };
}

/** The tool that a call means, and what tells the same call again. */
function meant(config: RuntimeConfig, { tool, args }: CallLine): [tool: string, key: string] {
  const id = canonicalId(config, tool);
  return [id, repeatKey(id, args)];
}

/** Prepares every definition once. */
export async function createDecider(
  config: RuntimeConfig,
  directory: ToolDirectory,
  knownCaller: CallerOf,
): Promise<Decider> {
  const gate = createGate(config);
  for (const definition of directory.all()) await gate.prepare(definition);
  const callerOf = callers(config, knownCaller);
  const sessions = createSessions();

  async function inputOf(call: CallLine, tool: string, key: string): Promise<DecisionInput> {
    const capability = Object.hasOwn(config.capabilities, tool) ? config.capabilities[tool] : undefined;
    const definition = capability === undefined ? undefined : directory.definition(tool);
    const caller = callerOf(call);
    const intent = call.intent ?? config.runtime.gatewayIntent;
    const counted = sessions.get(call.session);
    return {
      tool,
      args: call.args,
      caller,
      delegation: NO_DELEGATION,
      agentId: config.agent.id,
      session: {
        id: call.session ?? '',
        lane: caller.lane,
        task: 'agent-session',
        ...(intent === undefined ? {} : { intent }),
      },
      pin: definition?.pin ?? { state: 'unpinned' },
      paths: capability === undefined ? [] : await resolvePaths(call.args, capability, config),
      history: historyOf(config, counted, key),
      ...(gate.looksBack(tool) ? { past: counted?.past ?? new PastIndex() } : {}),
      ...(capability === undefined ? {} : { capability }),
      ...(definition === undefined ? {} : { inputSchema: definition.inputSchema }),
    };
  }

  return {
    gate,
    policyDigest: gate.policyDigest,
    input: (call) => inputOf(call, ...meant(config, call)),
    async decide(call) {
      const [tool, key] = meant(config, call);
      const input = await inputOf(call, tool, key);
      const decision = gate.decide(input);
      if (call.session !== undefined && decision.verdict === 'allow') {
        count(sessions.of(call.session), input, key);
      }
      return decision;
    },
    hear({ session, heard }) {
      const counted = sessions.of(session);
      if ('user' in heard) counted.past.addUser(heard.user);
      else answered(counted, canonicalId(config, heard.tool), config, heard.text);
    },
  };
}

/** One line of output. */
export interface DecidedLine {
  id: string | number | null;
  decision: string;
  rule_id: string;
  layer: string;
  reason: string;
  policy_digest: string;
}

export function decidedLine(id: string | number, decision: Decision): DecidedLine {
  return {
    id,
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    reason: decision.reasons[0] ?? '',
    policy_digest: decision.policyDigest,
  };
}

export function refusedLine(
  line: { id: string | number | null; field: string; why: string },
  policyDigest: string,
): DecidedLine {
  return {
    id: line.id,
    decision: 'deny',
    rule_id: `invalid:${showCut(line.field, 80)}`,
    layer: 'kernel',
    reason: line.why,
    policy_digest: policyDigest,
  };
}
