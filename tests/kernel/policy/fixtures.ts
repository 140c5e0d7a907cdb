// Owns the configuration and the calls that the policy tests start from: one allowed write with every rule awake.
import type { Capability, PolicyLayer, PolicyRule, RuntimeConfig } from '../../../src/config/types.ts';
import type { JsonObject } from '../../../src/base/json.ts';
import { SchemaCache } from '../../../src/kernel/policy/arg-schema.ts';
import type { Decision, DecisionInput, Usage } from '../../../src/kernel/policy/decision.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import type { Gate } from '../../../src/kernel/policy/gate.ts';
import { NO_DELEGATION } from '../../../src/kernel/identity.ts';

export const ROOT = '/srv/sandbox';

export const SCHEMA: JsonObject = {
  type: 'object',
  properties: {
    title: { type: 'string' },
    count: { type: 'number' },
    url: { type: 'string' },
    path: { type: 'string' },
    note: {},
  },
  additionalProperties: true,
};

export function capability(over: Partial<Capability> = {}): Capability {
  return {
    name: 'create_ticket',
    id: 'desk:create_ticket',
    owner: 'support_platform',
    mode: 'write',
    permission: 'write',
    version: '1.0.0',
    pack: 'kit',
    transport: 'mcp_stdio',
    server: 'desk',
    tool: 'create_ticket',
    timeoutSeconds: 10,
    outputBytes: 65536,
    toolPrincipal: 'svc',
    risk: 'low',
    class: 'plain',
    networkAccess: 'brokered',
    allowedEgress: ['tickets.internal'],
    approval: 'none',
    idempotency: { keyRequired: false, idempotent: false },
    scopes: [
      { type: 'path', pattern: '{sandbox}/out/**', access: 'write' },
      { type: 'network', posture: 'allowlist', entries: ['tickets.internal'] },
    ],
    pathArguments: [],
    urlArguments: [],
    expose: true,
    sandboxed: false,
    ...over,
  };
}

export function rule(over: Partial<PolicyRule> = {}): PolicyRule {
  return {
    id: 'r1',
    tools: '*',
    decision: 'allow',
    reason: 'configured',
    onDeny: 'tell_model',
    rememberable: false,
    ...over,
  };
}

export function layer(
  level: PolicyLayer['level'],
  name: string,
  over: Partial<PolicyLayer> = {},
): PolicyLayer {
  return { level, name, rules: [], ...over };
}

export interface ConfigParts {
  policy?: Partial<RuntimeConfig['policy']>;
  capabilities?: Capability[];
  intents?: RuntimeConfig['intents'];
  approved?: string[];
}

export function config({
  policy = {},
  capabilities = [capability()],
  intents = {},
  approved,
}: ConfigParts = {}): RuntimeConfig {
  const ids = capabilities.map(({ id }) => id);
  return {
    directory: '/srv/work/configs',
    digest: 'sha256:config',
    agent: {
      id: 'support-triage-ref',
      displayName: 'Support',
      ownerTeam: 'agent_platform',
      runtimePrincipal: 'svc',
      approvedCapabilities: approved ?? ids,
    },
    capabilities: Object.fromEntries(capabilities.map((entry) => [entry.id, entry])),
    policy: {
      version: '1',
      digest: 'sha256:policy',
      registry: { allowed: ids, denied: [] },
      urlAllowlist: ['https://docs.internal', 'https://tickets.internal', 'http://127.0.0.1:8080'],
      sandbox: { pathTemplate: ROOT, root: ROOT },
      argSchemaEnforcement: 'strict',
      loopBudget: { maxIterations: 10, maxTokens: 50_000 },
      cycle: { maxRepeats: 3, windowSeconds: 600 },
      retry: { maxRetries: 3, backoffBaseMs: 100, backoffCapMs: 2000 },
      precheck: { requireTenant: true, denyIfPrincipalMissing: true },
      execution: { allowNetworkAccess: ['brokered', 'restricted'] },
      attestation: { low: 'client', medium: 'client', high: 'same_user', critical: 'credential' },
      defaultDecision: 'deny',
      workspace: layer('workspace', 'workspace', { rules: [rule()] }),
      lanes: {},
      tasks: {},
      ...policy,
    },
    intents,
  } as unknown as RuntimeConfig;
}

export const USED: Usage = { iterations: 1, tokens: 10, calls: 1, costUsd: 0, effects: 0, wallSeconds: 1 };

export function input(over: Partial<DecisionInput> = {}): DecisionInput {
  return {
    tool: 'desk:create_ticket',
    args: { title: 'hello', count: 2 },
    caller: { tenant: 't', principal: 'p', actor: 'stdio:1', roles: [], scopes: [], lane: 'default' },
    delegation: NO_DELEGATION,
    agentId: 'support-triage-ref',
    session: { id: 'ses_1', lane: 'default', task: 'agent-session' },
    pin: { state: 'pinned', digest: 'sha256:pin' },
    inputSchema: SCHEMA,
    paths: [],
    history: { repeats: 0, session: USED },
    ...over,
  };
}

// Compiled once for all tests of a file.
const shared = new SchemaCache();

/** A gate in which the fixture's schema is prepared. */
export async function gateOf(parts: ConfigParts = {}): Promise<Gate> {
  const gate = createGate(config(parts), { schemas: shared });
  await gate.prepare({ inputSchema: SCHEMA });
  return gate;
}

export async function decide(parts: ConfigParts, over: Partial<DecisionInput> = {}): Promise<Decision> {
  return (await gateOf(parts)).decide(input(over));
}

export function withRules(...rules: PolicyRule[]): ConfigParts {
  return { policy: { workspace: layer('workspace', 'w', { rules }) } };
}

export function codes(decision: Decision): string[] {
  return decision.others.flatMap(({ aliases }) => aliases);
}
