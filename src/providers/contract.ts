// Owns the model port: what a governed turn sends to a provider and what comes back, in nobody's wire format.
import type { JsonObject } from '../base/json.ts';

export type ProviderKind = 'openai_compatible' | 'messages_compatible' | 'scripted';

export type ModelMessage =
  | { role: 'system' | 'user'; content: string }
  | { role: 'assistant'; content: string; toolCalls: { id: string; name: string; input: JsonObject }[] }
  | { role: 'tool'; toolCallId: string; toolName: string; content: string; isError: boolean };

export interface ModelTool {
  /** Canonical id, colon and all; a provider kind maps it reversibly to what its API accepts. */
  name: string;
  description: string;
  inputSchema: JsonObject;
}

export interface ModelInput {
  messages: ModelMessage[];
  tools: ModelTool[];
  /** Ids the model may name as the turn's intent; empty: the intent is not the model's to say. */
  intents: { id: string; description: string }[];
  /** Which turn of its session this is, from 0; only the scripted kind reads it. */
  turnIndex: number;
}

export interface ModelUsage {
  input_tokens?: number;
  output_tokens?: number;
  total_tokens?: number;
}

/** What the model said, before the pack normalizes and judges it. */
export interface ModelOutput {
  /** The text as given; a governed JSON object in it is read by the pack, not here. */
  text: string;
  toolCalls: { id: string; name: string; rawInput: string }[];
  finishReason: string;
  /** False when the provider says the output was cut (`length`) or filtered. */
  complete: boolean;
  usage?: ModelUsage;
}

export interface ModelCallFacts {
  requestUrl: string;
  responseStatus?: number;
  /** Requests made over the wire: 1, or more after a permitted retry. */
  attempts: number;
}

/**
 * Throws RuntimeError with a PROVIDER_… code, MISSING_ENVIRONMENT, CONFIGURATION_ERROR (base URL, script) or CANCELED;
 * after a request was made `details` carry ModelCallFacts as provider_kind, request_url, response_status, attempts.
 */
export interface ModelProvider {
  readonly kind: ProviderKind;
  readonly model: string;
  /** Normalized base URL; the empty string for scripted. */
  readonly baseUrl: string;
  generate(
    input: ModelInput,
    options: { signal: AbortSignal; onText?: (delta: string) => void },
  ): Promise<{ output: ModelOutput; facts: ModelCallFacts }>;
}

export interface ModelProfile {
  name: string;
  provider: ProviderKind;
  model: string;
  /** Name of the environment variable; never the key. Absent for scripted. */
  apiKeyEnv?: string;
  baseUrl?: string;
  baseUrlEnv?: string;
  /** Path of the script of a scripted model, absolute. */
  script?: string;
  /** Whole call, retries included, milliseconds. */
  deadlineMs: number;
  maxResponseBytes: number;
  maxOutputTokens: number;
  maxRetries: number;
}
