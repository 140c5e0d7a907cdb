// Owns what the record of a run says of it beside how it stands: what was asked and answered, why it failed, and what it went
// through. All of it is read from the run's own lines, so that it is as durable as they are. Pure.
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { joinReasons } from '../base/text.ts';

function lastOf(lines: readonly JsonObject[], key: string): JsonValue {
  return lines.findLast((line) => typeof line[key] === 'string' && line[key] !== '')?.[key] ?? null;
}

/** What the user said in this run; null where nobody said anything, as in a direct call. */
function userInput(lines: readonly JsonObject[]): string | null {
  const said = lines.flatMap(({ type, messages }) =>
    type === 'turn_started' && Array.isArray(messages) ? messages.filter((one) => isObject(one)) : [],
  );
  const texts = said.filter(({ role }) => role === 'user').map(({ content }) => content);
  const heard = texts.filter((one) => typeof one === 'string');
  return heard.length === 0 ? null : heard.join('\n');
}

function outputText(lines: readonly JsonObject[]): JsonValue {
  const message = lines.findLast(({ type }) => type === 'turn_completed')?.assistant_message;
  return isObject(message) ? (message.content ?? null) : null;
}

/** Why the last thing that was not done was not: the sentence of its error, or the reasons of its denial. */
function reasonOf(lines: readonly JsonObject[]): string | null {
  const failed = lines.findLast(
    ({ type, error }) => type === 'turn_failed' || type === 'call_denied' || isObject(error),
  );
  if (failed === undefined) return null;
  const { error, reasons } = failed;
  const { code, message } = isObject(error) ? error : failed;
  const words = [code, message].filter((one) => typeof one === 'string');
  if (words.length > 0) return words.join(': ');
  return Array.isArray(reasons) ? joinReasons(reasons.filter((one) => typeof one === 'string')) : null;
}

const HAVE_FAILED: ReadonlySet<unknown> = new Set([
  ...['failed', 'denied', 'canceled', 'expired', 'blocked_on_reconciliation', 'tool_error'],
]);

/** `lines` are the run's own, in their order. */
export function runRecord(status: unknown, lines: readonly JsonObject[]): JsonObject {
  return {
    user_input: userInput(lines),
    output_text: outputText(lines),
    failure_reason: HAVE_FAILED.has(status) ? reasonOf(lines) : null,
    capability_session_id: lastOf(lines, 'capability_session_id'),
    idempotency_key: lastOf(lines, 'idempotency_key'),
    approval_id: lastOf(lines, 'approval_id'),
    request_agent_id: lastOf(lines, 'agent_id'),
  };
}
