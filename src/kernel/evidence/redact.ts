// Owns redaction: what leaves the sealed payload for evidence, rows and errors. Applied once, before hashing and writing.
// R1: a known secret never passes, in whatever case, also base64, base64url, percent-encoded, as JSON writes it, or cut out of a longer text.
// R2: a value under a secret-looking key, or of a secret-looking form, is replaced whole.
import { childPointer } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { remembered } from '../policy/keys.ts';
import { secretTexts } from './secret-parts.ts';

export const REDACTED = '[REDACTED]';

const SECRET_KEY =
  /^(?:.*[_-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|authorization|cookie|credential|credentials|client[_-]?secret)$/i;

// The same words at the end of a key without separators: `accessToken`, `dbPassword`.
const SECRET_CAMEL_KEY =
  /[a-z0-9](?:Password|Passwd|Passphrase|Secret|Token|A(?:pi|PI)Key|(?:Access|Private)Key|Authorization|Cookie|Credentials?)$/;

// Forms that are secrets wherever they stand. Each is linear: no nested repetition.
const SECRET_FORMS: readonly RegExp[] = [
  /\bBearer\s+[A-Za-z0-9._~+/=-]{8,}/g,
  /\bsk-[A-Za-z0-9_-]{16,}/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,}/g,
  /\b(?:AKIA[0-9A-Z]{16}|akia[0-9a-z]{16})\b/g, // a parsed host is in lower case
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/g,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g,
];

// Each form begins with one of these and is no shorter, so that most texts are looked through once and not once a form.
const FORM_BEGINS = /Bearer\s|sk-|gh[pousr]_|AKIA|akia|xox[abprs]-|eyJ|-----BEGIN /;
const SHORTEST_FORM = 15;

// A shorter value occurs in honest text by chance.
const SHORTEST_SECRET = 8;

export interface Redacted<T extends JsonValue> {
  value: T;
  /** JSON pointers of what was replaced. */
  fields: string[];
}

export interface Redactor {
  object(value: JsonObject): Redacted<JsonObject>;
  text(value: string): string;
}

export interface LearningRedactor extends Redactor {
  /** A secret that became known later; what was known from the beginning stays so, of what was learned the newest. */
  learn(secret: string): void;
}

interface ShownKey {
  name: string;
  /** Its step of a JSON pointer. */
  step: string;
  isSecret: boolean;
}

export interface RedactionRules {
  /** Values that must never be written: keys, tokens. */
  secrets: readonly string[];
  /** Further key names, exact. */
  fields: readonly string[];
  /** Further forms, as regular expressions of the operator. */
  patterns: readonly string[];
}

function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // Base64 of a text that contains the secret depends on its offset; these three cover every offset but for the edges.
  const shifted = [0, 1, 2].map((pad) => {
    const whole = Buffer.concat([Buffer.alloc(pad), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return whole.slice(pad === 0 ? 0 : pad + 1, whole.length - 1);
  });
  const hex = bytes.toString('hex');
  const percents = [encodeURIComponent(secret), hex.toUpperCase().replace(/../g, '%$&')];
  return [
    secret,
    JSON.stringify(secret).slice(1, -1), // most results are JSON in a text
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    ...percents,
    hex,
  ].filter((text) => text.length >= SHORTEST_SECRET);
}

function escapeForRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

// A part of a pattern may not be longer than the engine takes, and the longest spelling has three characters for each.
const LONGEST_PIECE = 4096;

function pieces(secret: string): string[] {
  const all: string[] = [];
  for (let at = 0; at < secret.length; at += LONGEST_PIECE) all.push(secret.slice(at, at + LONGEST_PIECE));
  return all;
}

function secretPattern(secrets: readonly string[]): RegExp | undefined {
  const known = secrets.flatMap(pieces).filter((secret) => secret.length >= SHORTEST_SECRET);
  const all = new Set(known.flatMap(spellings));
  if (all.size === 0) return undefined;
  const longestFirst = [...all].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map(escapeForRegex).join('|'), 'gi');
}

// A value that changes at every start of a server must not make every text dearer for ever.
const MOST_LEARNED = 32;

/** The secrets of a workspace: those of the beginning for good, and the last that were learned. */
class KnownSecrets {
  readonly #first: ReadonlySet<string>;
  readonly #learned = new Set<string>();
  #pattern: RegExp | undefined;

  constructor(secrets: readonly string[]) {
    this.#first = new Set(secrets);
    this.#pattern = secretPattern(secrets.flatMap(secretTexts));
  }

  get pattern(): RegExp | undefined {
    return this.#pattern;
  }

  /** False: it was known. */
  learn(secret: string): boolean {
    if (this.#first.has(secret)) return false;
    const isKnown = this.#learned.delete(secret);
    this.#learned.add(secret); // the newest is forgotten last
    if (isKnown) return false;
    const [oldest] = this.#learned;
    if (this.#learned.size > MOST_LEARNED && oldest !== undefined) this.#learned.delete(oldest);
    this.#pattern = secretPattern([...this.#first, ...this.#learned].flatMap(secretTexts));
    return true;
  }
}

/** What is shown of a text. */
function textRedactor(known: KnownSecrets, patterns: readonly RegExp[]): (value: string) => string {
  return (value) => {
    // Half a character, which a server or a person may send, has no canonical form: its record could not be written.
    let out = value.toWellFormed();
    const { pattern } = known;
    if (pattern !== undefined && out.length >= SHORTEST_SECRET) out = out.replace(pattern, REDACTED);
    if (out.length >= SHORTEST_FORM && FORM_BEGINS.test(out)) {
      for (const form of SECRET_FORMS) out = out.replace(form, REDACTED);
    }
    for (const own of patterns) out = out.replace(own, REDACTED);
    return out;
  };
}

/** Keys that are shown alike stay as many members. `taken` counts for one object, so that many cost no more than one each. */
function freeName(out: JsonObject, name: string, taken: Map<string, number>): string {
  let free = name;
  while (Object.hasOwn(out, free)) {
    const count = (taken.get(name) ?? 1) + 1;
    taken.set(name, count);
    free = `${name} (${count})`;
  }
  return free;
}

function placeOf(path: string, { name: shown, step }: ShownKey, name: string): string {
  return name === shown ? path + step : childPointer(path, name);
}

/** A redactor for one workspace; compiled once, and again with each secret that it learns. */
export function createRedactor(rules: RedactionRules): LearningRedactor {
  const known = new KnownSecrets(rules.secrets);
  const patterns = rules.patterns.map((source) => new RegExp(source, 'g'));
  const fields = new Set(rules.fields.map((name) => name.toLowerCase()));
  const text = textRedactor(known, patterns);

  const keysShown = (): ((key: string) => ShownKey) =>
    remembered((key) => ({
      name: text(key),
      step: childPointer('', text(key)),
      isSecret: SECRET_KEY.test(key) || SECRET_CAMEL_KEY.test(key) || fields.has(key.toLowerCase()),
    }));
  let shownKey = keysShown();

  const walkMembers = (value: JsonObject, path: string, replaced: string[]): JsonObject => {
    const out: JsonObject = {};
    let taken: Map<string, number> | undefined;
    for (const key of Object.keys(value)) {
      const item = value[key] as JsonValue;
      const shownAs = shownKey(key);
      const { name: shown, isSecret } = shownAs;
      if (shown !== key) taken ??= new Map();
      const name = taken === undefined ? shown : freeName(out, shown, taken);
      if (isSecret && item !== null && typeof item !== 'boolean') {
        out[name] = REDACTED;
        replaced.push(placeOf(path, shownAs, name));
      } else if (typeof item === 'string') {
        const told = text(item);
        out[name] = told;
        if (told !== item) replaced.push(placeOf(path, shownAs, name));
      } else {
        out[name] =
          typeof item === 'object' && item !== null
            ? walk(item, placeOf(path, shownAs, name), replaced)
            : item;
      }
    }
    return out;
  };

  const walk = (value: JsonValue, path: string, replaced: string[]): JsonValue => {
    if (typeof value === 'string') {
      const out = text(value);
      if (out !== value) replaced.push(path);
      return out;
    }
    if (Array.isArray(value)) return value.map((item, index) => walk(item, `${path}/${index}`, replaced));
    return typeof value === 'object' && value !== null ? walkMembers(value, path, replaced) : value;
  };

  return {
    text,
    learn(secret) {
      if (known.learn(secret)) shownKey = keysShown();
    },
    object(value) {
      const replaced: string[] = [];
      return { value: walk(value, '', replaced) as JsonObject, fields: replaced };
    },
  };
}
