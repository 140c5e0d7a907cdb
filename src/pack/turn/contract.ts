// Owns the wire shape of one governed turn: input, output and failure of `agent:execute-turn`. Snake case, as on the wire.
import type { ErrorView } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { AuthorizationMode } from '../../kernel/identity.ts';
import type { ModelUsage, ProviderKind } from '../../providers/contract.ts';

export type TurnRole = 'system' | 'user' | 'assistant' | 'tool';

/**
 * One message of a turn. A `tool` message answers the call `tool_call_id`; where the kernel ran that call, its own record takes
 * the place of what the message says.
 */
export interface TurnMessage {
  role: TurnRole;
  content: string;
  tool_name?: string;
  /** As the turn that asked for the tool gave it. */
  tool_call_id?: string;
}

/**
 * What a host sends for one turn. Closed: an unknown field is INVALID_INPUT and named. A turn can narrow what its session and
 * the configuration allow (intent, catalogs, limits) and never widen it.
 */
export interface TurnInput {
  /** What is new since the session's last turn. */
  messages: TurnMessage[];
  /** Absent: a new session. */
  session_id?: string;
  intent?: string;
  /** Absent: `default_model` of runtime.yaml. */
  model_profile?: string;
  /** Refused unless it is the base URL of the profile. */
  url?: string;
  /** Snapshots of the answer while it comes, to whoever listens (`RuntimeIo.snapshot`). */
  stream?: boolean;
  /** Narrows the tools that the model sees, by name; their definitions are the kernel's own. */
  tool_catalog?: { name: string; description?: string; input_schema?: JsonObject }[];
  intent_catalog?: { id: string; description: string }[];
  /** Counts for the whole session; bytes of UTF-8 of one turn's input. */
  limits?: { max_turns_per_session?: number; max_tool_calls_per_session?: number; max_input_bytes?: number };
  /** A host's own name for the run; recorded, never trusted. */
  external_run_id?: string;
  /** Absent: the platform's own authority. */
  authorization?: { mode: AuthorizationMode; delegated_principal_id?: string; delegated_scope?: string };
}

/** What the gate decided of one call, and why: the rule, its layer, and the policy that was judged by. */
export interface DecisionView {
  decision: 'allow' | 'deny' | 'approval_required';
  rule_id: string;
  layer: string;
  reasons: string[];
  /** `sha256:` and 64 hexadecimal digits. */
  policy_digest: string;
  /** Present only where the rule that denied ends the run instead of telling the model. */
  on_deny?: 'end_run';
}

export interface RequestedTool {
  name: string;
  input: JsonObject;
  tool_call_id: string;
  decision: DecisionView;
}

export type TurnStatus = 'reply' | 'tool_request' | 'complete' | 'escalate';

/**
 * What a turn came to, the same for every provider. A `tool_request` names the calls that the model wants, each with the gate's
 * decision; none has run. `requested_tool`, `tool_call_id` and `decision` are those of the first.
 */
export interface TurnOutput {
  status: TurnStatus;
  intent: string;
  assistant_message: string;
  requested_tool?: { name: string; input: JsonObject };
  requested_tools?: RequestedTool[];
  tool_call_id?: string;
  decision?: DecisionView;
  provider: { kind: ProviderKind; model: string };
  /** Tokens as the provider counted them. */
  usage?: ModelUsage;
  /** In the provider's words; `stop` where it gave none. */
  finish_reason: string;
  session_id: string;
  run_id: string;
  trace_id: string;
  /** From 0, in the session. */
  turn_index: number;
}

/** A turn that gave no output. It is recorded like any turn. */
export interface TurnFailure {
  error: ErrorView;
  session_id?: string;
  run_id?: string;
  trace_id?: string;
}

export interface TurnSnapshot {
  sequence: number;
  state: 'partial' | 'final';
  data: JsonObject;
}
