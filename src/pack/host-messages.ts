// Owns the messages that a host builds for a turn: context it adds, and results of tools it ran itself. All of it is
// data in the user's place; no text of a host or a memory is ever given the system's voice.
import type { JsonObject, JsonValue } from '../base/json.ts';
import { asData, bounded, toolContent } from './untrusted.ts';
import type { TurnMessage } from './turn/contract.ts';

/** What a host knows beside the conversation. */
export interface HostContext {
  taskSummary?: string;
  memorySummary?: string;
  additionalContext?: readonly string[];
}

/** One message for each text that is not empty, marked as data that gives no instructions and cut at 16,384 characters. */
export function createHostContextMessages(context: HostContext): TurnMessage[] {
  const parts: [string, string][] = [
    ['Task context:', context.taskSummary ?? ''],
    ['Memory context:', context.memorySummary ?? ''],
    ...(context.additionalContext ?? []).map((text): [string, string] => ['Additional context:', text]),
  ];
  return parts.flatMap(([label, text]) => {
    const trimmed = text.trim();
    return trimmed === '' ? [] : [{ role: 'user' as const, content: asData(label, bounded(trimmed).text) }];
  });
}

export interface ToolResult {
  toolCallId: string;
  toolName: string;
  success: boolean;
  data?: JsonValue;
  error?: { code: string; message: string };
}

/** Bounded and marked untrusted. For a call that the kernel ran, the kernel's own record takes its place. */
export function createToolResultMessage(result: ToolResult): TurnMessage {
  const { toolCallId, toolName, success, data, error } = result;
  const failure: JsonObject = {
    ...(error ?? { code: 'TOOL_EXECUTION_FAILED', message: 'The tool failed.' }),
  };
  const content = success
    ? toolContent({ success: true, data: data ?? null })
    : toolContent({ success: false, error: failure, ...(data === undefined ? {} : { data }) });
  return { role: 'tool', tool_name: toolName, tool_call_id: toolCallId, content };
}
