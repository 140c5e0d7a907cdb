// Owns what the record of a run says of it beside how it stands: what was asked and answered, why it failed, and what it went
// through. All of it is read from the run's own lines, so that it is as durable as they are.
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { joinReasons } from '../base/text.ts';

const LAST_NAMED = ['capability_session_id', 'idempotency_key', 'approval_id', 'agent_id'] as const;

/** What the user says in a line. */
function heardIn({ type, messages }: JsonObject): string[] {
  if (type !== 'turn_started' || !Array.isArray(messages)) return [];
  const said = messages.filter((one) => isObject(one)).filter(({ role }) => role === 'user');
  return said.map(({ content }) => content).filter((one) => typeof one === 'string');
}

/** Why a thing was not done: the sentence of its error, or the reasons of its denial. */
function reasonOf({ error, reasons, ...line }: JsonObject): string | null {
  const { code, message } = isObject(error) ? error : line;
  const words = [code, message].filter((one) => typeof one === 'string');
  if (words.length > 0) return words.join(': ');
  return Array.isArray(reasons) ? joinReasons(reasons.filter((one) => typeof one === 'string')) : null;
}

const HAVE_FAILED: ReadonlySet<unknown> = new Set([
  ...['failed', 'denied', 'canceled', 'expired', 'blocked_on_reconciliation', 'tool_error'],
]);

/** Hears the run's own lines in their order, and keeps of them what the record says. */
export class RunRecord {
  readonly #heard: string[] = [];
  readonly #last = new Map<(typeof LAST_NAMED)[number], string>();
  #output: JsonValue = null;
  /** The last thing that was not done. */
  #undone: string | null = null;

  add(line: JsonObject): void {
    const { type, assistant_message: said, error } = line;
    this.#heard.push(...heardIn(line));
    if (type === 'turn_completed') this.#output = isObject(said) ? (said.content ?? null) : null;
    if (type === 'turn_failed' || type === 'call_denied' || isObject(error)) this.#undone = reasonOf(line);
    for (const name of LAST_NAMED) {
      const named = line[name];
      if (typeof named === 'string' && named !== '') this.#last.set(name, named);
    }
  }

  /** The user's words are null where nobody said anything, as in a direct call. */
  view(status: unknown): JsonObject {
    const last = (name: (typeof LAST_NAMED)[number]): string | null => this.#last.get(name) ?? null;
    return {
      user_input: this.#heard.length === 0 ? null : this.#heard.join('\n'),
      output_text: this.#output,
      failure_reason: HAVE_FAILED.has(status) ? this.#undone : null,
      capability_session_id: last('capability_session_id'),
      idempotency_key: last('idempotency_key'),
      approval_id: last('approval_id'),
      request_agent_id: last('agent_id'),
    };
  }
}
