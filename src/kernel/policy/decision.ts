// Owns the words of a decision: what policy looks at, what it answers, and the order in which answers beat each other.
import type { JsonObject } from '../../base/json.ts';
import type {
  Budget,
  Capability,
  Consequence,
  DelegationGrant,
  KernelRule,
  Policy,
  Scope,
  Verdict,
} from '../../config/types.ts';
import type { Caller, Delegation } from '../identity.ts';
import type { NoPast, Past } from './past.ts';

/** Every rule of the gate, in the order in which its denials are reported. */
export const RULE_ORDER = [
  'run_precheck',
  'tool_registry',
  'inventory',
  'tool_pin',
  'scope_boundary',
  'url_allowlist',
  'sandbox_path',
  'arg_schema',
  'intent',
  'capability_rule',
  'cycle_detection',
  'loop_budget',
  'kernel_error',
] as const;
export type RuleId = (typeof RULE_ORDER)[number];

/** What a denial by this rule of the kernel does to its run. */
export function consequenceOf({ onDeny }: Pick<Policy, 'onDeny'>, rule: KernelRule): Consequence {
  return onDeny?.[rule] ?? 'tell_model';
}

export type Layer = 'kernel' | 'workspace' | 'lane' | 'task' | 'intent' | 'session' | 'principal' | 'tenant';

/** One rule's answer. `attributes` are the policy.* facts of the evidence and the span. */
export interface Verdicted {
  verdict: Verdict;
  ruleId: RuleId;
  layer: Layer;
  reason: string;
  /** Ids of the same rule in the source systems, and the configured rule's own id. */
  aliases: string[];
  onDeny: Consequence;
  attributes: JsonObject;
  approver?: string;
  rememberable?: boolean;
}

export interface Decision {
  verdict: Verdict;
  ruleId: RuleId;
  layer: Layer;
  /** The deciding reason first, then every other denial or approval demand in rule order. */
  reasons: string[];
  aliases: string[];
  onDeny: Consequence;
  policyDigest: string;
  attributes: JsonObject;
  /** Set iff verdict is approval_required. */
  approval?: { approver: string; rememberable: boolean };
  scopes: { requested: Scope[]; allowed: Scope[] };
  /** All verdicts that were not a plain allow, in rule order. */
  others: Verdicted[];
}

export type PinState =
  | { state: 'pinned'; digest: string }
  | { state: 'declared'; digest: string } // in_process and host tools: the definition is our own configuration
  | { state: 'unpinned' }
  | { state: 'quarantined'; reason: string };

/** A path argument as the file system resolves it; gathered before deciding, because deciding does no I/O. */
export interface ResolvedPath {
  pointer: string;
  given: string;
  /** Real absolute path (of the nearest existing parent plus the rest); undefined: could not be resolved. */
  resolved?: string;
  access: 'read' | 'write';
  problem?: string;
}

export interface Usage {
  iterations: number;
  tokens: number;
  calls: number;
  costUsd: number;
  effects: number;
  wallSeconds: number;
}

export interface CallHistory {
  /** Earlier identical calls (tool + canonical arguments) of this session that ran. */
  repeats: number;
  session: Usage;
  principal?: Usage;
  tenant?: Usage;
}

/** Everything the gate looks at. Data only; checked JSON. */
export interface DecisionInput {
  tool: string;
  args: JsonObject;
  caller: Caller;
  delegation: Delegation;
  /** The grants that this call is judged by. Absent: those of the configuration. */
  grants?: readonly DelegationGrant[];
  agentId: string;
  session: {
    id: string;
    intent?: string;
    lane: string;
    task: string;
    /** Whom the session was minted for; grants of delegation name it. Absent: the caller's. */
    actor?: string;
  };
  capability?: Capability;
  pin: PinState;
  inputSchema?: JsonObject;
  paths: ResolvedPath[];
  history: CallHistory;
  /** Gathered only for tools whose rules look at it (`Gate.looksBack`). */
  past?: Past | NoPast;
  /** Tighter limits of this session, from the host. */
  limits?: Budget;
}
