// Owns the credential of a call: read from the one variable that the profile names, when a call is made, and kept out
// of everything that goes back to the caller.
import { RuntimeError } from '../base/errors.ts';
import type { ModelOutput, ModelProfile } from './contract.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const REMOVED = '[key removed]';
// A shorter key occurs in honest text by chance.
const SHORTEST_SECRET = 8;
// Local servers take any word as their key (`none`, `lm-studio`): such a word is no secret, and an answer may hold it.
const LONGEST_WORD = 11;
const WORD = /^[a-z]+(?:[-_][a-z]+)*$/i;

function isSecret(key: string): boolean {
  return key.length >= SHORTEST_SECRET && (key.length > LONGEST_WORD || !WORD.test(key));
}

/** The value of a variable, or MISSING_ENVIRONMENT that names it. */
export function requireVariable(env: Environment, variable: string): string {
  const value = env[variable]?.trim();
  if (value === undefined || value === '') {
    throw new RuntimeError('MISSING_ENVIRONMENT', `The environment variable ${variable} is not set.`, {
      variable,
    });
  }
  return value;
}

export function readKey(profile: ModelProfile, env: Environment): string | undefined {
  if (profile.apiKeyEnv === undefined) return undefined;
  const key = requireVariable(env, profile.apiKeyEnv);
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new RuntimeError(
      'MISSING_ENVIRONMENT',
      `The environment variable ${profile.apiKeyEnv} is set, but what it holds cannot be sent as a key.`,
      { variable: profile.apiKeyEnv },
    );
  }
  return key;
}

function formsOf(key: string): string[] {
  return [key, encodeURIComponent(key)];
}

/** The text without the key, in whatever case and also in its URL form. */
export function withoutKey(text: string, key: string | undefined): string {
  if (key === undefined || key === '') return text;
  const forms = formsOf(key).map((form) => form.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return text.replaceAll(new RegExp(forms.join('|'), 'gi'), REMOVED);
}

/** The output of a provider that may have echoed the key it was given. */
export function outputWithoutKey(output: ModelOutput, key: string | undefined): ModelOutput {
  if (key === undefined || !isSecret(key)) return output;
  return {
    ...output,
    text: withoutKey(output.text, key),
    finishReason: withoutKey(output.finishReason, key),
    toolCalls: output.toolCalls.map((call) => ({
      id: withoutKey(call.id, key),
      name: withoutKey(call.name, key),
      rawInput: withoutKey(call.rawInput, key),
    })),
  };
}

/** Characters at the end of `text` with which one of the forms may begin; both in small letters. */
function startedKey(text: string, forms: readonly string[]): number {
  const longest = Math.max(...forms.map((form) => form.length)) - 1;
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(-length);
    if (forms.some((form) => form.length > length && form.startsWith(end))) return length;
  }
  return 0;
}

export interface TextGate {
  push: (delta: string) => void;
  /** Tells what was held back; called once, after the last delta. */
  end: () => void;
}

/** Passes pieces of text on, holding back an end that may be the start of the key. */
export function createTextGate(key: string | undefined, tell: (delta: string) => void): TextGate {
  if (key === undefined || !isSecret(key)) return { push: tell, end: () => undefined };
  const forms = formsOf(key).map((form) => form.toLowerCase());
  let held = '';
  const pass = (keep: number): void => {
    const ready = held.slice(0, held.length - keep);
    held = held.slice(held.length - keep);
    if (ready !== '') tell(ready);
  };
  return {
    push(delta) {
      held = withoutKey(held + delta, key);
      pass(startedKey(held.toLowerCase(), forms));
    },
    end: () => {
      pass(0);
    },
  };
}
