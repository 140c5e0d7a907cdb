// The workspace of the fault suite: one read tool, a plain write, a write that a person approves, a write with a key.

function capability(id, over) {
  return {
    name: id,
    id,
    owner: 'faults',
    mode: 'write',
    permission: 'write',
    version: '1.0.0',
    pack: 'kit',
    transport: 'in_process',
    tool: id,
    timeoutSeconds: 60,
    outputBytes: 65_536,
    toolPrincipal: `svc-${id}`,
    risk: 'medium',
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

const capabilities = {
  look: capability('look', { mode: 'read', permission: 'read', risk: 'low' }),
  note: capability('note'),
  pay: capability('pay', { approval: { approver: 'principal' } }),
  ticket: capability('ticket', {
    idempotency: { keyRequired: true, argument: 'key', idempotent: false },
  }),
};

const tools = Object.keys(capabilities);

function policy(root) {
  const rules = [
    {
      id: 'all',
      tools: '*',
      decision: 'allow',
      reason: 'faults',
      onDeny: 'tell_model',
      rememberable: false,
    },
  ];
  return {
    version: '1',
    digest: 'sha256:faults',
    registry: { allowed: tools, denied: [] },
    urlAllowlist: [],
    sandbox: { pathTemplate: root, root },
    argSchemaEnforcement: 'strict',
    loopBudget: {},
    cycle: { maxRepeats: 3, windowSeconds: 600 },
    retry: { maxRetries: 2, backoffBaseMs: 1, backoffCapMs: 4 },
    precheck: { requireTenant: true, denyIfPrincipalMissing: true },
    execution: { allowNetworkAccess: ['none'] },
    attestation: { low: 'client', medium: 'client', high: 'same_user', critical: 'credential' },
    defaultDecision: 'deny',
    workspace: { level: 'workspace', name: 'workspace', rules },
    lanes: { default: { level: 'lane', name: 'default', rules: [] } },
    tasks: { 'agent-session': { level: 'task', name: 'agent-session', rules: [] } },
  };
}

/** A RuntimeConfig whose sandbox is `root`. */
export function workerConfig(root) {
  return {
    directory: root,
    digest: 'sha256:faults-config',
    agent: {
      id: 'agent-1',
      displayName: 'Agent',
      ownerTeam: 'faults',
      runtimePrincipal: 'svc-agent',
      approvedCapabilities: tools,
    },
    capabilities,
    policy: policy(root),
    identity: { stdio: { tenant: 'local', roles: [], scopes: [] }, principals: [], delegations: [] },
    models: { default: 'demo', profiles: {} },
    intents: {},
    limits: { maxTurnsPerSession: 12, maxToolCallsPerSession: 12, maxInputBytes: 65_536 },
    runtime: {
      maxToolHops: 3,
      background: { enabled: true, allowCancel: true },
      elicitationWaitMs: 25_000,
      maxCallsInFlight: 64,
      maxLineBytes: 1_048_576,
      prices: {},
      redaction: { fields: [], patterns: [] },
    },
    servers: {},
    approvals: {
      defaultReviewer: 'manager',
      escalationSlaMinutes: 30,
      answerWithinSeconds: 86_400,
      useWithinSeconds: 86_400,
    },
    controls: {
      resumeAllowed: true,
      backgroundModeAllowed: true,
      maxWaitSeconds: 86_400,
      onExpiry: 'cancel_run',
      capabilitySessionOwner: 'faults',
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
      },
    },
  };
}
