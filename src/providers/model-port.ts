// Owns the small part of a vendor's model interface that the wire kinds share, as shapes: no vendor type leaves its folder.
import type { ModelMessage } from './contract.ts';

export type PromptMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: { type: 'text'; text: string }[] }
  | { role: 'assistant'; content: (PromptText | PromptCall)[] }
  | { role: 'tool'; content: PromptResult[] };

export interface PromptText {
  type: 'text';
  text: string;
}

export interface PromptCall {
  type: 'tool-call';
  toolCallId: string;
  toolName: string;
  input: unknown;
}

export interface PromptResult {
  type: 'tool-result';
  toolCallId: string;
  toolName: string;
  output: { type: 'text' | 'error-text'; value: string };
}

export interface PromptTool {
  type: 'function';
  name: string;
  description: string;
  inputSchema: Record<string, unknown>;
}

export interface VendorCall {
  prompt: PromptMessage[];
  tools: PromptTool[];
  maxOutputTokens: number;
  abortSignal: AbortSignal;
}

export interface VendorFinish {
  unified: string;
  /** What the provider itself wrote. */
  raw: string | undefined;
}

export interface VendorUsage {
  inputTokens: { total: number | undefined };
  outputTokens: { total: number | undefined };
}

/** One part of an answer, whole or streamed; which fields are set depends on `type`. */
export interface VendorPart {
  type: string;
  text?: string;
  delta?: string;
  toolCallId?: string;
  toolName?: string;
  input?: string;
  error?: unknown;
  finishReason?: VendorFinish;
  usage?: VendorUsage;
}

export interface VendorAnswer {
  content: VendorPart[];
  finishReason: VendorFinish;
  usage: VendorUsage;
}

export interface VendorModel {
  generate(call: VendorCall): Promise<VendorAnswer>;
  stream(call: VendorCall): Promise<AsyncIterable<VendorPart>>;
}

export interface VendorSettings {
  /** Without a trailing slash. */
  baseUrl: string;
  model: string;
  /** Absent: the profile names no key, and none is sent. */
  apiKey?: string;
  fetch: typeof fetch;
}

/** What one wire kind adds to the common path of a call. */
export interface WireKind {
  /** Appended to the base URL. */
  path: string;
  /** The conversation in the order and form that this API accepts; its calls and results are already paired. */
  arrange(messages: ModelMessage[]): ModelMessage[];
  /** Loads the vendor's package at the first call: it must not slow the start of a process that makes none. */
  open(settings: VendorSettings): Promise<VendorModel>;
}
