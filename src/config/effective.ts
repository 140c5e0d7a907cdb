// Owns the view of a loaded configuration that `config print` shows: every value and where it came from.
import type { JsonValue } from '../base/json.ts';
import { isObject } from '../base/json.ts';
import type { FoundFile } from './parts.ts';

export interface EffectiveValue {
  /** Keys joined by dots: `policy.loop_budget.max_tokens`. */
  key: string;
  value: JsonValue;
  layer: `file:${string}` | 'default' | 'environment';
}

/** Only mappings are taken apart; a list is one value. */
function flatten(
  value: JsonValue,
  written: unknown,
  at: { key: string; file: string },
  into: EffectiveValue[],
): void {
  if (isObject(value) && Object.keys(value).length > 0) {
    for (const [name, child] of Object.entries(value)) {
      const below = isObject(written) && Object.hasOwn(written, name) ? written[name] : undefined;
      flatten(child, below, { ...at, key: at.key === '' ? name : `${at.key}.${name}` }, into);
    }
    return;
  }
  into.push({ key: at.key, value, layer: written === undefined ? 'default' : `file:${at.file}` });
}

// The digest of a weak token can be guessed back, so not even that is shown.
function maskTokens(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(maskTokens);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, key === 'token_sha256' ? '(set)' : maskTokens(child)]),
  );
}

/** Every value in the order of its file; the resolved sandbox root comes last. */
export function effectiveValues(
  files: readonly FoundFile[],
  sandbox: { root: string; fromEnvironment: boolean },
): EffectiveValue[] {
  const values: EffectiveValue[] = [];
  for (const file of files) {
    flatten(maskTokens(file.tree), file.written, { key: '', file: file.name }, values);
  }
  values.push({
    key: 'policy.sandbox.root',
    value: sandbox.root,
    layer: sandbox.fromEnvironment ? 'environment' : 'file:policy.yaml',
  });
  return values;
}
