// Owns who is asking: the caller as proven by the transport, and the run context that every record carries.

/** Proven by the transport (token, process, configuration); never taken from arguments or client info. */
export interface Caller {
  tenant: string;
  principal: string;
  /** The client connection: `stdio:<process>`, or the token's client id. */
  actor: string;
  roles: readonly string[];
  scopes: readonly string[];
  lane: string;
}

export const AUTHORIZATION_MODES = ['platform_owned', 'user_delegated', 'human_approved'] as const;
export type AuthorizationMode = (typeof AUTHORIZATION_MODES)[number];

export interface Delegation {
  mode: AuthorizationMode;
  delegatedPrincipalId: string;
  delegatedScope: string;
}

export const NO_DELEGATION: Delegation = {
  mode: 'platform_owned',
  delegatedPrincipalId: '',
  delegatedScope: '',
};

/** What every record of a run carries. */
export interface RunContext {
  caller: Caller;
  agentId: string;
  sessionId: string;
  runId: string;
  traceId: string;
  taskType: 'agent-session';
  delegation: Delegation;
  externalRunId?: string;
}

export function isOperator(caller: Pick<Caller, 'roles'>): boolean {
  return caller.roles.includes('operator') || caller.roles.includes('admin');
}
