// Owns the wire shape of one governed turn: input, output and failure of `agent:execute-turn`. Snake case, as on the wire.
import type { ErrorView } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { AuthorizationMode } from '../../kernel/identity.ts';
import type { ModelUsage, ProviderKind } from '../../providers/contract.ts';

export type TurnRole = 'system' | 'user' | 'assistant' | 'tool';

export interface TurnMessage {
  role: TurnRole;
  content: string;
  tool_name?: string;
  tool_call_id?: string;
}

export interface TurnInput {
  messages: TurnMessage[];
  session_id?: string;
  intent?: string;
  model_profile?: string;
  url?: string;
  stream?: boolean;
  tool_catalog?: { name: string; description?: string; input_schema?: JsonObject }[];
  intent_catalog?: { id: string; description: string }[];
  limits?: { max_turns_per_session?: number; max_tool_calls_per_session?: number; max_input_bytes?: number };
  external_run_id?: string;
  authorization?: { mode: AuthorizationMode; delegated_principal_id?: string; delegated_scope?: string };
}

export interface DecisionView {
  decision: 'allow' | 'deny' | 'approval_required';
  rule_id: string;
  layer: string;
  reasons: string[];
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

export interface TurnOutput {
  status: TurnStatus;
  intent: string;
  assistant_message: string;
  requested_tool?: { name: string; input: JsonObject };
  requested_tools?: RequestedTool[];
  tool_call_id?: string;
  decision?: DecisionView;
  provider: { kind: ProviderKind; model: string };
  usage?: ModelUsage;
  finish_reason: string;
  session_id: string;
  run_id: string;
  trace_id: string;
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
