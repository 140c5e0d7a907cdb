// Owns the judging of what a server may have of the client behind a call: answers of its model and its roots. Only what
// is named here goes either way.
import { asRuntimeError } from '../../base/errors.ts';
import { checkJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';

const LIMITS = { maxDepth: 16, maxBytes: 256 * 1024 };
const MAX_ROOTS = 100;

// Not includeContext: what other servers said to that client is not this one's to ask for. Not tools: there is no gate there.
const ASKED = [
  ...['messages', 'modelPreferences', 'systemPrompt', 'maxTokens', 'temperature', 'stopSequences'],
] as const;
const ANSWERED = ['role', 'content', 'model', 'stopReason'] as const;

function only(value: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)));
}

export function samplingParams(
  params: unknown,
): { ok: true; params: JsonObject } | { ok: false; why: string } {
  if (!isObject(params) || !Array.isArray(params['messages']) || typeof params['maxTokens'] !== 'number') {
    return { ok: false, why: 'it has no messages, or no limit of tokens' };
  }
  if (params['tools'] !== undefined) return { ok: false, why: 'it hands tools to the model' };
  try {
    return { ok: true, params: only(checkJson(params, LIMITS) as JsonObject, ASKED) };
  } catch (thrown) {
    return { ok: false, why: `it is too large: ${asRuntimeError(thrown).message}` };
  }
}

/** The model's answer as the server gets it; undefined for one that is none. */
export function samplingAnswer(content: unknown): JsonObject | undefined {
  if (!isObject(content) || typeof content['model'] !== 'string' || typeof content['role'] !== 'string') {
    return undefined;
  }
  if (!isObject(content['content']) && !Array.isArray(content['content'])) return undefined;
  try {
    return only(checkJson(content, LIMITS) as JsonObject, ANSWERED);
  } catch {
    return undefined;
  }
}

/** The roots that a client told; entries that are no files are left out. */
export function rootsAnswer(content: unknown): JsonObject {
  const told: unknown = isObject(content) ? content['roots'] : undefined;
  const roots = (Array.isArray(told) ? told.slice(0, MAX_ROOTS) : []).flatMap((root: unknown) => {
    const { uri, name } = isObject(root) ? root : {};
    if (typeof uri !== 'string' || uri.length > 2000 || !uri.startsWith('file://')) return [];
    return [{ uri, ...(typeof name === 'string' ? { name: name.slice(0, 200) } : {}) }];
  });
  return { roots };
}
