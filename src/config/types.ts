// Owns the typed configuration that every other room reads: what the YAML files mean once loaded, defaults filled in.
// YAML keys are the snake_case of these names. Tools are always named by canonical id here (`server:tool`, or the
// capability's own name when it has no server); the files may also use the capability's name.
import type { JsonObject } from '../base/json.ts';
import type { ModelProfile } from '../providers/contract.ts';

export type Verdict = 'allow' | 'deny' | 'approval_required';
export type Attestation = 'client' | 'same_user' | 'credential';
export type Risk = 'low' | 'medium' | 'high' | 'critical';

export type Scope =
  | { type: 'path'; pattern: string; access: 'read' | 'write' }
  | { type: 'network'; posture: 'off' | 'full' }
  | { type: 'network'; posture: 'allowlist'; entries: string[] };

/** agent.yaml */
export interface AgentIdentity {
  id: string;
  displayName: string;
  ownerTeam: string;
  runtimePrincipal: string;
  /** Canonical tool ids the agent may use: the inventory. */
  approvedCapabilities: string[];
}

export type Transport = 'mcp_stdio' | 'mcp_http' | 'in_process' | 'host';

/** One entry of capabilities.yaml. */
export interface Capability {
  name: string;
  /** Canonical tool id. */
  id: string;
  owner: string;
  mode: 'read' | 'write';
  /** read | write | admin; admin tools need an operator role. */
  permission: 'read' | 'write' | 'admin';
  /** Of its contract as the catalog states it; `0.0.0`: not stated. */
  version: string;
  /** What it came with: a pack, or else its server, or the agent itself. */
  pack: string;
  transport: Transport;
  server?: string;
  tool: string;
  timeoutSeconds: number;
  outputBytes: number;
  toolPrincipal: string;
  risk: Risk;
  /** `exec`: runs code of the caller's choosing; denied unless sandboxed. */
  class: 'plain' | 'exec';
  networkAccess: 'none' | 'restricted' | 'brokered' | 'full';
  allowedEgress: string[];
  approval: 'none' | { approver: string };
  idempotency: {
    keyRequired: boolean;
    /** Argument that carries the caller's key; absent: `_meta`, else the action digest. */
    argument?: string;
    /** Declared safe to run again. */
    idempotent: boolean;
  };
  scopes: Scope[];
  /** JSON pointers (`/path`; `-` stands for every array element) of arguments that are paths, beyond what names say. */
  pathArguments: { pointer: string; access: 'read' | 'write' }[];
  urlArguments: string[];
  /** What an argument is for: `sink` steers an effect, `reference` names what was looked up, `content` is carried. */
  argumentRoles?: { pointer: string; role: 'sink' | 'reference' | 'content' }[];
  /** For in_process and host tools, whose schema no server declares. */
  inputSchema?: JsonObject;
  description?: string;
  expose: boolean;
  sandboxed: boolean;
}

/** What a denial or a failure does to its run. */
export type Consequence = 'tell_model' | 'end_run';

/** The rules of the kernel. Those that policy.yaml configures say themselves what a denial by them does. */
export type KernelRule =
  | 'run_precheck'
  | 'tool_registry'
  | 'inventory'
  | 'tool_pin'
  | 'scope_boundary'
  | 'url_allowlist'
  | 'sandbox_path'
  | 'arg_schema'
  | 'intent'
  | 'cycle_detection'
  | 'loop_budget'
  | 'kernel_error';

/** How a call fails for good: at every try that it was allowed, or in a way that is not tried again. */
export type CallFailure = 'retry_exhaustion' | 'catalogued_unhandled';

export interface PolicyRule {
  id: string;
  /** Canonical ids, or '*' for every tool of the catalog. */
  tools: string[] | '*';
  /** CEL over `args`, `identity`, `session`, `history`, `tool`; absent: always. */
  when?: string;
  decision: Verdict;
  reason: string;
  onDeny: Consequence;
  /** `principal`, `other` (anyone but the principal), or `role:<name>`. */
  approver?: string;
  rememberable: boolean;
}

export interface PolicyLayer {
  level: 'workspace' | 'lane' | 'task';
  name: string;
  /** undefined: this layer does not narrow scopes. An empty list is no scope at all. */
  scopes?: Scope[];
  rules: PolicyRule[];
}

export interface Budget {
  maxIterations?: number;
  maxTokens?: number;
  maxCalls?: number;
  maxCostUsd?: number;
  /** Calls with mode write that were not refused. */
  maxEffects?: number;
  maxWallSeconds?: number;
}

/** policy.yaml */
export interface Policy {
  version: string;
  /** sha256:… of the canonical effective policy with catalog and identity parts that decide; on every decision. */
  digest: string;
  registry: { allowed: string[]; denied: string[] };
  urlAllowlist: string[];
  sandbox: { pathTemplate: string; root: string };
  argSchemaEnforcement: 'strict' | 'off';
  loopBudget: Budget & {
    /** Rate windows for default sessions and for whole principals and tenants. */
    perPrincipal?: Budget & { windowSeconds: number };
    perTenant?: Budget & { windowSeconds: number };
  };
  cycle: { maxRepeats: number; windowSeconds: number };
  retry: { maxRetries: number; backoffBaseMs: number; backoffCapMs: number };
  /** What is not named is told to the model. */
  onDeny?: Partial<Record<KernelRule, Consequence>>;
  onFailure?: Partial<Record<CallFailure, Consequence>>;
  precheck: { requireTenant: boolean; denyIfPrincipalMissing: boolean };
  execution: { allowNetworkAccess: string[] };
  /** The least attestation that answers an approval of each risk. */
  attestation: Record<Risk, Attestation>;
  /** Workspace layer only. */
  defaultDecision: Verdict;
  workspace: PolicyLayer;
  lanes: Record<string, PolicyLayer>;
  tasks: Record<string, PolicyLayer>;
}

export interface Intent {
  id: string;
  description: string;
  allowTools: string[];
  approvalRequiredTools: string[];
}

/** A caller may act for another principal only as listed here. */
export interface DelegationGrant {
  /** `stdio`: every process that is connected over stdio. */
  actor: string;
  principal: string;
  scope: string;
  /** Canonical ids that it covers; absent: the tool or the server that the scope names. */
  capabilities?: string[];
}

/** identity.yaml */
export interface IdentityConfig {
  stdio: { tenant: string; principal?: string; roles: string[]; scopes: string[]; lane?: string };
  principals: {
    id: string;
    tenant: string;
    roles: string[];
    scopes: string[];
    tokenSha256?: string;
    lane?: string;
  }[];
  delegations: DelegationGrant[];
}

/** A directory of the machine, or a small file made for the server; at the same path inside. */
export type SandboxEntry =
  | { source: 'local_dir'; path: string; readOnly: boolean }
  | { source: 'inline_file'; path: string; readOnly: true; content: string };

/** What confines a stdio server. */
export interface SandboxProfile {
  manifestVersion: 1;
  /** Where this machine cannot confine. */
  missing: 'refuse' | 'warn';
  entries: SandboxEntry[];
  shell: 'restricted' | 'full';
  network: 'denied' | 'full';
  secrets: 'none' | 'declared';
  resume: 'allowed' | 'denied' | 'snapshot';
  snapshot: 'none' | 'required_on_completion';
  persist: boolean;
  limits: {
    cpuSeconds: number;
    memoryMb: number;
    processes: number;
    openFiles: number;
    fileMb: number;
    scratchMb: number;
  };
}

/** A value for a server, or where it lies. `prefix` stands before what the environment has, such as `Bearer `. */
export type ValueSource = { value: string } | { fromEnv: string; prefix?: string } | { fromFile: string };

/** One entry of servers.yaml: a downstream MCP server. */
export interface DownstreamServer {
  name: string;
  transport: 'stdio' | 'http';
  /** stdio: no shell; the program and its arguments as given. */
  command?: string;
  args: string[];
  cwd?: string;
  /** Where this start of it works that has no `cwd`; said beside the files, so neither pinned nor in a digest. */
  startedIn?: string;
  /** Names copied from our environment. */
  envAllow: string[];
  /** Values set for the child; `{fromFile}` and `{fromEnv}` are read at start, never printed. */
  env: Record<string, ValueSource>;
  /** stdio: the server's own, else the one of runtime-controls.yaml; absent: nothing confines it. */
  sandbox?: SandboxProfile;
  url?: string;
  /** http: sent with every request; read at start, never printed, never from a caller. */
  headers?: Record<string, ValueSource>;
  era: 'auto' | 'legacy' | 'modern';
  startTimeoutSeconds: number;
  maxMessageBytes: number;
  maxTools: number;
}

export interface TurnLimits {
  maxTurnsPerSession: number;
  maxToolCallsPerSession: number;
  maxInputBytes: number;
}

/** What is taken over HTTP, and how much of it from whom; `http` of runtime.yaml. */
export interface HttpSettings {
  /** Exact, in small letters. */
  allowedHosts: string[];
  allowedOrigins: string[];
  maxBodyBytes: number;
  maxHeaders: number;
  maxHeaderBytes: number;
  headerTimeoutMs: number;
  bodyTimeoutMs: number;
  writeTimeoutMs: number;
  idleTimeoutMs: number;
  maxConnections: number;
  maxConnectionsPerAddress: number;
  /** Open at once, streams included. */
  maxRequestsPerPrincipal: number;
  requestsPerSecondPerPrincipal: number;
  requestsPerSecondPerAddress: number;
  refusalsPerMinutePerAddress: number;
  maxSessions: number;
  maxSessionsPerPrincipal: number;
  sessionIdleMs: number;
  maxStreamsPerPrincipal: number;
  maxSubscriptionsPerPrincipal: number;
  updateIntervalMs: number;
}

/** runtime.yaml */
export interface RuntimeSettings {
  maxToolHops: number;
  background: {
    enabled: boolean;
    allowCancel: boolean;
    /** Runs that may wait in the queue of one tenant; one more is refused. */
    maxQueued: number;
    /** Background runs that one process carries out at a time. */
    maxRunning: number;
  };
  gatewayIntent?: string;
  /** Milliseconds a legacy client is waited for in one elicitation; at most 50,000. */
  elicitationWaitMs: number;
  maxCallsInFlight: number;
  maxLineBytes: number;
  http: HttpSettings;
  prices: Record<string, { inputPerMillionUsd: number; outputPerMillionUsd: number }>;
  redaction: { fields: string[]; patterns: string[] };
}

/** approvals.yaml */
export interface ApprovalsConfig {
  defaultReviewer: string;
  escalationSlaMinutes: number;
  answerWithinSeconds: number;
  useWithinSeconds: number;
}

/** runtime-controls.yaml; the keys whose effect this version has. */
export interface RuntimeControls {
  resumeAllowed: boolean;
  backgroundModeAllowed: boolean;
  maxWaitSeconds: number;
  onExpiry: 'cancel_run' | 'keep';
  capabilitySessionOwner: string;
  /** Absent: the first of each. */
  delegation?: {
    /** Which modes a session may have; platform_owned always. */
    authorizationMode: 'user_delegated_or_platform_owned' | 'platform_owned' | 'any';
    /** A call of a session whose grant is gone: asked of a person, or denied. */
    onRevoke: 'cancel_or_reapprove' | 'cancel';
  };
  capabilitySessions: CapabilitySessionControls;
}

/** How stateful connections to servers are kept; what runtime.yaml switches off is off here too. */
export interface CapabilitySessionControls {
  /** per_call: a connection ends with the call that it was opened for. */
  mode: 'stateful' | 'per_call';
  /** Answers carry the id of the capability session. */
  trackIds: boolean;
  /** Resume tokens are offered and taken. */
  resumeAllowed: boolean;
  /** Progress of tools is recorded and passed on. */
  progress: boolean;
  /** Servers may ask the person behind a call. */
  elicitation: boolean;
  resumePolicy: 'resume_existing_session_if_valid' | 'always_reinitialize';
  onExpiry: 'reinitialize_or_cancel' | 'cancel';
  reinitRequiresApproval: boolean;
  expirySignalOwner: string;
  /** An unused connection is ended after so long. */
  idleSeconds: number;
  /** Connections that one process holds open at a time, over all servers and principals. */
  maxOpen: number;
  input: InputBounds;
  /** What a server that asks for roots is told: nothing, our sandbox, or what the client of the call tells. */
  roots: 'refuse' | 'sandbox' | 'client';
  /** What becomes of a server's question to a model: refused, or put to the client of the call. */
  sampling: 'refuse' | 'client';
}

/** Bounds of what a server may ask a person, and of the answer. */
export interface InputBounds {
  maxSchemaBytes: number;
  maxSchemaDepth: number;
  maxReplyBytes: number;
  /** How long one question stays open. */
  openSeconds: number;
  /** Questions within one call. */
  maxPerCall: number;
}

/** A configuration that was loaded and checked whole; from `loadConfig`, and never changed afterwards. */
export interface RuntimeConfig {
  /** Absolute. */
  directory: string;
  /** Where it lies when it is reached through a link. */
  realDirectory?: string;
  /** sha256:… of the whole effective configuration. */
  digest: string;
  agent: AgentIdentity;
  capabilities: Record<string, Capability>; // by canonical id
  policy: Policy;
  identity: IdentityConfig;
  models: { default: string; profiles: Record<string, ModelProfile> };
  intents: Record<string, Intent>;
  limits: TurnLimits;
  runtime: RuntimeSettings;
  servers: Record<string, DownstreamServer>;
  approvals: ApprovalsConfig;
  controls: RuntimeControls;
}
