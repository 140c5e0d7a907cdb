// A small typed configuration for kernel tests: one read tool, one write tool that needs approval, one plain write tool.
import { HTTP_DEFAULTS } from '../http-defaults.ts';
import type { Capability, Policy, RuntimeConfig } from '../../src/config/types.ts';

export function capability(id: string, over: Partial<Capability> = {}): Capability {
  return {
    name: id,
    id,
    owner: 'team',
    mode: 'read',
    permission: 'read',
    version: '1.0.0',
    pack: 'kit',
    transport: 'in_process',
    tool: id,
    timeoutSeconds: 10,
    outputBytes: 65_536,
    toolPrincipal: `svc-${id}`,
    risk: 'low',
    class: 'plain',
    networkAccess: 'none',
    allowedEgress: [],
    approval: 'none',
    idempotency: { keyRequired: false, idempotent: false },
    scopes: [],
    pathArguments: [],
    urlArguments: [],
    inputSchema: { type: 'object', additionalProperties: true },
    description: id,
    expose: true,
    sandboxed: false,
    ...over,
  };
}

export const look: Capability = capability('look');
export const note: Capability = capability('note', { mode: 'write', risk: 'medium' });
export const pay: Capability = capability('pay', {
  mode: 'write',
  risk: 'medium',
  approval: { approver: 'principal' },
});
export const ticket: Capability = capability('ticket', {
  mode: 'write',
  risk: 'medium',
  idempotency: { keyRequired: true, argument: 'key', idempotent: false },
});

function policy(over: Partial<Policy>): Policy {
  return {
    version: '1',
    digest: 'sha256:policy',
    registry: { allowed: ['look', 'note', 'pay', 'ticket'], denied: ['forbidden'] },
    urlAllowlist: [],
    sandbox: { pathTemplate: '/tmp', root: '/tmp' },
    argSchemaEnforcement: 'strict',
    loopBudget: {},
    cycle: { maxRepeats: 3, windowSeconds: 600 },
    retry: { maxRetries: 2, backoffBaseMs: 1, backoffCapMs: 4 },
    precheck: { requireTenant: true, denyIfPrincipalMissing: true },
    execution: { allowNetworkAccess: ['none'] },
    attestation: { low: 'client', medium: 'client', high: 'same_user', critical: 'credential' },
    defaultDecision: 'deny',
    workspace: {
      level: 'workspace',
      name: 'workspace',
      rules: [
        {
          id: 'all',
          tools: '*',
          decision: 'allow',
          reason: 'sample',
          onDeny: 'tell_model',
          rememberable: false,
        },
      ],
    },
    lanes: { default: { level: 'lane', name: 'default', rules: [] } },
    tasks: { 'agent-session': { level: 'task', name: 'agent-session', rules: [] } },
    ...over,
  };
}

export function sampleConfig(
  over: { policy?: Partial<Policy>; capabilities?: Capability[] } = {},
): RuntimeConfig {
  const capabilities = over.capabilities ?? [look, note, pay, ticket];
  return {
    directory: '/workspace/configs',
    digest: 'sha256:config',
    agent: {
      id: 'agent-1',
      displayName: 'Agent',
      ownerTeam: 'team',
      runtimePrincipal: 'svc-agent',
      approvedCapabilities: capabilities.map((one) => one.id),
    },
    capabilities: Object.fromEntries(capabilities.map((one) => [one.id, one])),
    policy: policy(over.policy ?? {}),
    identity: { stdio: { tenant: 'local', roles: [], scopes: [] }, principals: [], delegations: [] },
    models: { default: 'demo', profiles: {} },
    intents: {},
    limits: { maxTurnsPerSession: 12, maxToolCallsPerSession: 12, maxInputBytes: 65_536 },
    runtime: {
      maxToolHops: 3,
      background: { enabled: true, allowCancel: true, maxQueued: 100, maxRunning: 4 },
      elicitationWaitMs: 25_000,
      maxCallsInFlight: 64,
      maxLineBytes: 1_048_576,
      http: HTTP_DEFAULTS,
      prices: {},
      redaction: { fields: [], patterns: [] },
    },
    servers: {},
    approvals: {
      defaultReviewer: 'manager',
      escalationSlaMinutes: 30,
      answerWithinSeconds: 900,
      useWithinSeconds: 300,
    },
    controls: {
      resumeAllowed: true,
      backgroundModeAllowed: true,
      maxWaitSeconds: 1800,
      onExpiry: 'cancel_run',
      capabilitySessionOwner: 'team',
      capabilitySessions: {
        mode: 'stateful',
        trackIds: true,
        resumeAllowed: true,
        progress: true,
        elicitation: true,
        resumePolicy: 'resume_existing_session_if_valid',
        onExpiry: 'reinitialize_or_cancel',
        reinitRequiresApproval: false,
        expirySignalOwner: 'capability_runtime',
        idleSeconds: 900,
        maxOpen: 256,
        input: {
          maxSchemaBytes: 16_384,
          maxSchemaDepth: 6,
          maxReplyBytes: 16_384,
          openSeconds: 600,
          maxPerCall: 8,
        },
        roots: 'refuse',
        sampling: 'refuse',
      },
    },
  };
}
