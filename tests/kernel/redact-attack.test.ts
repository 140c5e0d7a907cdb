// Attacks the short cuts of redaction: whatever is generated around secrets and forms of secrets, what is shown is what the
// rules give when each of them is applied to each text.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { createRedactor, REDACTED } from '../../src/kernel/evidence/redact.ts';

const SECRETS = ['hunter22', 'pass/word+123', 'sk-live Bearer eyJ'];
const OWN = 'own-\\d+';
const FIELD = 'Nickname';
const SHORTEST_SECRET = 8;

const SECRET_KEY =
  /^(?:.*[_-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|authorization|cookie|credential|credentials|client[_-]?secret)$/i;

const FORMS: readonly RegExp[] = [
  /\bBearer\s+[A-Za-z0-9._~+/=-]{8,}/g,
  /\bsk-[A-Za-z0-9_-]{16,}/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,}/g,
  /\b(?:AKIA[0-9A-Z]{16}|akia[0-9a-z]{16})\b/g,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/g,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g,
  new RegExp(OWN, 'g'),
];

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
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    ...percents.flatMap((text) => [text, text.replace(/%../g, (byte) => byte.toLowerCase())]),
    hex,
    hex.toUpperCase(),
  ].filter((text) => text.length >= SHORTEST_SECRET);
}

function escapeForRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

function secretPattern(secrets: readonly string[]): RegExp | undefined {
  const all = new Set(secrets.filter((secret) => secret.length >= SHORTEST_SECRET).flatMap(spellings));
  if (all.size === 0) return undefined;
  const longestFirst = [...all].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map(escapeForRegex).join('|'), 'gi');
}

const KNOWN = secretPattern(SECRETS);

function plainText(value: string): string {
  const known = KNOWN === undefined ? value : value.replace(KNOWN, REDACTED);
  return FORMS.reduce((out, form) => out.replace(form, REDACTED), known);
}

function plainly(value: JsonValue, path: string, replaced: string[]): JsonValue {
  if (typeof value === 'string') {
    const out = plainText(value);
    if (out !== value) replaced.push(path);
    return out;
  }
  if (Array.isArray(value)) return value.map((item, index) => plainly(item, `${path}/${index}`, replaced));
  if (typeof value !== 'object' || value === null) return value;
  const out: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const shown = plainText(key);
    let name = shown;
    for (let count = 2; Object.hasOwn(out, name); count++) name = `${shown} (${count})`;
    const isSecret = SECRET_KEY.test(key) || key.toLowerCase() === FIELD.toLowerCase();
    const hides = isSecret && item !== null && typeof item !== 'boolean';
    const place = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (hides) replaced.push(place);
    out[name] = hides ? REDACTED : plainly(item, place, replaced);
  }
  return out;
}

// Beginnings, ends and edges of forms, whole and cut: what is put together of them is a form, or nearly one.
const run = (letters: string, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...Array.from(letters)), maxLength: max });
const piece = fc.oneof(
  fc.constantFrom(
    'Bearer',
    'bearer ',
    'sk-',
    'ghp_',
    'ghx_',
    'AKIA',
    'akia',
    'xoxb-',
    'eyJ',
    '.',
    '-----BEGIN ',
  ),
  fc.constantFrom(
    'RSA PRIVATE KEY-----',
    'PRIVATE KEY-----',
    '-----END ',
    ' ',
    '\t',
    '\u00a0',
    '\n',
    '-',
    '_',
    'own-',
  ),
  run('aZ09_-', 24),
  run('A9', 20),
  run('.~+/=', 9),
  fc
    .constantFrom(...SECRETS, ...SECRETS.flatMap(spellings))
    .chain((one) => fc.tuple(fc.nat(2), fc.nat(2)).map(([from, less]) => one.slice(from, one.length - less))),
  fc
    .tuple(run('ab ', 4), fc.constantFrom(...SECRETS), run('ab ', 4))
    .map(([before, secret, after]) => Buffer.from(before + secret + after).toString('base64url')),
);
const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
const key = fc
  .oneof(text, fc.constantFrom('token', 'api_key', 'x-Secret', 'NICKNAME', 'plain', 'tokens', 'nick'))
  .filter((name) => name !== '__proto__');
const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.constantFrom<JsonValue>(null, true, 7),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

// One for all: what it remembers of keys must not change what is shown later.
const redactor = createRedactor({ secrets: SECRETS, fields: [FIELD], patterns: [OWN] });

test('a text is shown as the rules show it, applied one by one', () => {
  fc.assert(
    fc.property(text, (given) => {
      expect(redactor.text(given)).toBe(plainText(given));
    }),
    { numRuns: 20_000, seed: 20_261_121 },
  );
});

test('an object is shown likewise, and the same fields are named', () => {
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }), (given) => {
      const fields: string[] = [];
      const shown = plainly(given, '', fields);
      expect(redactor.object(given)).toEqual({ value: shown, fields });
    }),
    { numRuns: 3000, seed: 20_261_121 },
  );
});
