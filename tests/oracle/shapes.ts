// Owns the oracle's own copy of the few shapes it judges by; nothing here comes from src.
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export interface JsonMap {
  [key: string]: Json;
}
export type Answer = 'allow' | 'deny' | 'approval_required';
export type Access = 'read' | 'write';

export type OScope =
  | { type: 'path'; pattern: string; access: Access }
  | { type: 'network'; posture: 'off' | 'full' }
  | { type: 'network'; posture: 'allowlist'; entries: string[] };

export interface OTool {
  name: string;
  id: string;
  owner: string;
  mode: Access;
  permission: 'read' | 'write' | 'admin';
  version: string;
  pack: string;
  transport: 'mcp_stdio' | 'mcp_http' | 'in_process' | 'host';
  server?: string;
  tool: string;
  timeoutSeconds: number;
  outputBytes: number;
  toolPrincipal: string;
  risk: 'low' | 'medium' | 'high' | 'critical';
  class: 'plain' | 'exec';
  networkAccess: 'none' | 'restricted' | 'brokered' | 'full';
  allowedEgress: string[];
  approval: 'none' | { approver: string };
  idempotency: { keyRequired: boolean; idempotent: boolean };
  scopes: OScope[];
  pathArguments: { pointer: string; access: Access }[];
  urlArguments: string[];
  inputSchema?: JsonMap;
  expose: boolean;
  sandboxed: boolean;
}

export interface ORule {
  id: string;
  tools: string[] | '*';
  when?: string;
  decision: Answer;
  reason: string;
  onDeny: 'tell_model' | 'end_run';
  approver?: string;
  rememberable: boolean;
}

export interface OLayer {
  level: 'workspace' | 'lane' | 'task';
  name: string;
  scopes?: OScope[];
  rules: ORule[];
}

export interface OBudget {
  maxIterations?: number;
  maxTokens?: number;
  maxCalls?: number;
  maxCostUsd?: number;
  maxEffects?: number;
  maxWallSeconds?: number;
}

export interface OPolicy {
  registry: { allowed: string[]; denied: string[] };
  urlAllowlist: string[];
  sandbox: { pathTemplate: string; root: string };
  argSchemaEnforcement: 'strict' | 'off';
  loopBudget: OBudget & {
    perPrincipal?: OBudget & { windowSeconds: number };
    perTenant?: OBudget & { windowSeconds: number };
  };
  cycle: { maxRepeats: number; windowSeconds: number };
  precheck: { requireTenant: boolean; denyIfPrincipalMissing: boolean };
  execution: { allowNetworkAccess: string[] };
  defaultDecision: Answer;
  workspace: OLayer;
  lanes: Record<string, OLayer>;
  tasks: Record<string, OLayer>;
}

export interface OIntent {
  id: string;
  description: string;
  allowTools: string[];
  approvalRequiredTools: string[];
}

export interface OConfig {
  /** Where the configuration lies; no tool may touch it. */
  directory: string;
  agent: { id: string; approvedCapabilities: string[] };
  capabilities: Record<string, OTool>;
  policy: OPolicy;
  intents: Record<string, OIntent>;
}

export interface OPath {
  pointer: string;
  given: string;
  resolved?: string;
  access: Access;
  problem?: string;
}

export interface OUsage {
  iterations: number;
  tokens: number;
  calls: number;
  costUsd: number;
  effects: number;
  wallSeconds: number;
}

export type OPin =
  | { state: 'pinned'; digest: string }
  | { state: 'declared'; digest: string }
  | { state: 'unpinned' }
  | { state: 'quarantined'; reason: string };

export interface OInput {
  tool: string;
  args: JsonMap;
  caller: {
    tenant: string;
    principal: string;
    actor: string;
    roles: string[];
    scopes: string[];
    lane: string;
  };
  delegation: { mode: 'platform_owned'; delegatedPrincipalId: string; delegatedScope: string };
  agentId: string;
  session: { id: string; intent?: string; lane: string; task: string };
  capability?: OTool;
  pin: OPin;
  inputSchema?: JsonMap;
  paths: OPath[];
  history: { repeats: number; session: OUsage; principal?: OUsage; tenant?: OUsage };
  limits?: OBudget;
}
