// Owns the lines between calls: what the user of a session said, and what a tool answered there.
import { isObject } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';

export interface HeardLine {
  session: string;
  heard: { user: string } | { tool: string; text: string };
}

export type Heard = { ok: true; line: HeardLine } | { ok: false; field: string; why: string };

function answerOf(answer: JsonValue | undefined): { tool: string; text: string } | undefined {
  if (!isObject(answer) || Object.keys(answer).some((key) => key !== 'tool' && key !== 'text'))
    return undefined;
  const { tool, text } = answer;
  return typeof tool === 'string' && tool !== '' && typeof text === 'string' ? { tool, text } : undefined;
}

/** undefined: it is no such line. */
export function heardIn(value: Record<string, JsonValue>): Heard | undefined {
  if (!Object.hasOwn(value, 'user') && !Object.hasOwn(value, 'tool_result')) return undefined;
  const refuse = (field: string, why: string): Heard => ({ ok: false, field, why });
  const { session, user, tool_result: answer } = value;
  const unknown = Object.keys(value).find((key) => !['session', 'user', 'tool_result'].includes(key));
  if (unknown !== undefined) return refuse(unknown, 'no such field beside user or tool_result');
  if (typeof session !== 'string' || session === '') return refuse('session', 'session must be a text');
  if (user !== undefined && answer !== undefined)
    return refuse('tool_result', 'a line has user or tool_result');
  if (user !== undefined) {
    if (typeof user !== 'string') return refuse('user', 'user must be a text');
    return { ok: true, line: { session, heard: { user } } };
  }
  const said = answerOf(answer);
  return said === undefined
    ? refuse('tool_result', 'tool_result must be { tool, text }, both texts')
    : { ok: true, line: { session, heard: said } };
}
