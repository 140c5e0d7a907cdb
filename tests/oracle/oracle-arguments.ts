// Owns the oracle's reading of what a call's arguments may be: URLs, closed schemas, and the `when` family.
import type { Access, Json, JsonMap, OConfig, OInput, OTool } from './shapes.ts';

const URL_WORDS = ['url', 'uri', 'href', 'link', 'endpoint', 'callback', 'webhook'];
const PATH_WORDS = ['path', 'file', 'dir', 'directory', 'folder', 'filename'];

function singular(key: string): string {
  const lower = key.toLowerCase();
  return lower.endsWith('s') ? lower.slice(0, -1) : lower;
}

/** The last word of snake_case, kebab-case or camelCase, singular. */
function lastWord(key: string): string {
  const words = key.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').split(/[_-]/);
  return singular(words.at(-1) ?? '');
}

/** url, href, links, target_url, targetUrl, callback_urls … */
export function isUrlKey(key: string): boolean {
  return URL_WORDS.includes(singular(key)) || ['url', 'uri'].includes(lastWord(key));
}

export function isPathKey(key: string): boolean {
  return PATH_WORDS.includes(singular(key)) || ['path', 'file', 'dir'].includes(lastWord(key));
}

interface Leaf {
  /** Every object key on the way. */
  keys: string[];
  pointer: string;
  value: Json;
}

function leaves(value: Json, keys: string[], pointer: string): Leaf[] {
  if (Array.isArray(value)) return value.flatMap((one, index) => leaves(one, keys, `${pointer}/${index}`));
  if (value !== null && typeof value === 'object') {
    return Object.entries(value).flatMap(([name, one]) => leaves(one, [...keys, name], `${pointer}/${name}`));
  }
  return [{ keys, pointer, value }];
}

/** The strings that name paths: by key for tools with path scopes or a server, or declared; with their access. */
export function pathArguments(
  tool: OTool | undefined,
  args: JsonMap,
): { pointer: string; given: string; access: Access }[] {
  if (tool === undefined) return [];
  const byName = tool.server !== undefined || tool.scopes.some((scope) => scope.type === 'path');
  return leaves(args, [], '').flatMap(({ keys, pointer, value }) => {
    if (typeof value !== 'string') return [];
    const declared = tool.pathArguments.filter((one) => beneath(pointer, one.pointer));
    if (declared.length > 0) return declared.map(({ access }) => ({ pointer, given: value, access }));
    return byName && keys.some(isPathKey) ? [{ pointer, given: value, access: tool.mode }] : [];
  });
}

function at(args: Json, pointer: string): Json | undefined {
  let here: Json | undefined = args;
  for (const part of pointer.split('/').slice(1)) {
    if (here === null || typeof here !== 'object' || Array.isArray(here)) return undefined;
    here = Object.hasOwn(here, part) ? here[part] : undefined;
    if (here === undefined) return undefined;
  }
  return here;
}

/** As a URL parser would take it: blanks before it do not count, a backslash is a slash, and the web's own schemes
 *  need none; `//host` is a URL without its scheme. */
const LOOKS_LIKE_URL = /^((https?|wss?|ftp|file):|[a-z][a-z0-9+.-]*:[\\/]|[\\/]{2})/i;

/** Without the control characters and spaces that a URL parser skips. */
function unblanked(text: string): string {
  let start = 0;
  while (start < text.length && text.charCodeAt(start) <= 0x20) start += 1;
  return text.slice(start);
}

const beneath = (pointer: string, top: string): boolean => `${pointer}/`.startsWith(`${top}/`);

export function urlArguments(tool: OTool | undefined, args: JsonMap): string[] {
  const networked = tool !== undefined && tool.networkAccess !== 'none';
  return leaves(args, [], '').flatMap(({ keys, pointer, value }) => {
    if (typeof value !== 'string') return [];
    const named = keys.some(isUrlKey) || tool?.urlArguments.some((top) => beneath(pointer, top)) === true;
    return named || (networked && LOOKS_LIKE_URL.test(unblanked(value))) ? [value] : [];
  });
}

function origin(text: string): { scheme: string; host: string; port: string } | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const port = url.port === '' ? ({ 'https:': '443', 'http:': '80' }[url.protocol] ?? '') : url.port;
  return { scheme: url.protocol, host: url.hostname, port };
}

/** Parsed scheme, host and port are those of an entry; no userinfo, no control character, canonical spelling. */
export function urlAllowed(config: OConfig, text: string): boolean {
  const given = origin(text);
  if (given === undefined) return false;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code <= 0x20 || code === 0x7f) return false;
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || given.host === '') return false;
  if (url.href !== text && url.href !== `${text}/`) return false;
  return config.policy.urlAllowlist.some((entry) => {
    const allowed = origin(entry.includes('://') ? entry : `https://${entry}`);
    return allowed?.scheme === given.scheme && allowed.host === given.host && allowed.port === given.port;
  });
}

function typeFits(type: Json | undefined, value: Json): boolean {
  if (type === undefined) return true;
  if (Array.isArray(type)) return type.some((one) => typeFits(one, value));
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type;
}

/** The few keywords the generator uses, with own properties only and no coercion. */
export function schemaFits(schema: JsonMap, value: Json): boolean {
  if (!typeFits(schema['type'], value)) return false;
  const choices = schema['enum'];
  if (Array.isArray(choices) && !choices.some((choice) => choice === value)) return false;
  if (typeof value === 'number') {
    if (typeof schema['minimum'] === 'number' && value < schema['minimum']) return false;
    if (typeof schema['maximum'] === 'number' && value > schema['maximum']) return false;
  }
  if (Array.isArray(value)) {
    const items = schema['items'] as JsonMap | undefined;
    return items === undefined || value.every((one) => schemaFits(items, one));
  }
  if (value === null || typeof value !== 'object') return true;
  const properties = (schema['properties'] ?? {}) as Record<string, JsonMap>;
  const required = (schema['required'] ?? []) as string[];
  if (required.some((name) => !Object.hasOwn(value, name))) return false;
  return Object.entries(value).every(([name, one]) => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property === undefined) return schema['additionalProperties'] !== false;
    return schemaFits(property, one);
  });
}

type Outcome = boolean | 'error';

/** The meaning of one expression of the generator's family; `A && B` and `A || B` absorb errors as CEL says. */
export function whenHolds(when: string, input: OInput): Outcome {
  const both = when.split(' && ');
  if (both.length > 1) {
    const parts = both.map((part) => whenHolds(part, input));
    if (parts.includes(false)) return false;
    return parts.includes('error') ? 'error' : true;
  }
  const either = when.split(' || ');
  if (either.length > 1) {
    const parts = either.map((part) => whenHolds(part, input));
    if (parts.includes(true)) return true;
    return parts.includes('error') ? 'error' : false;
  }
  return atomHolds(when, input);
}

function atomHolds(atom: string, input: OInput): Outcome {
  const presence = /^(!?)has\(args\.(\w+)\)$/.exec(atom);
  if (presence !== null) return Object.hasOwn(input.args, presence[2] ?? '') !== (presence[1] === '!');
  const comparison = /^([\w.]+) (==|!=|>=|<=|>|<) (?:"([^"]*)"|(-?\d+))$/.exec(atom);
  if (comparison === null) throw new Error(`The oracle does not know the expression ${atom}`);
  const [, name = '', operator = '', text, digits] = comparison;
  const left = field(name, input);
  if (left === undefined || (typeof left === 'number' && !Number.isFinite(left))) return 'error';
  if (operator === '==') return left === (text ?? Number(digits));
  if (operator === '!=') return left !== (text ?? Number(digits));
  if (typeof left !== 'number' || digits === undefined) return 'error';
  const right = Number(digits);
  if (operator === '>') return left > right;
  if (operator === '>=') return left >= right;
  return operator === '<' ? left < right : left <= right;
}

function field(name: string, input: OInput): Json | undefined {
  if (name === 'identity.principal') return input.caller.principal;
  if (name === 'identity.tenant') return input.caller.tenant;
  if (name === 'session.lane') return input.session.lane;
  if (name === 'history.calls') {
    // A history that holds a number that is none, or that cannot be read, has no calls to compare.
    try {
      const { repeats, session } = input.history;
      return [repeats, ...Object.values<number>({ ...session })].every(Number.isFinite)
        ? session.calls
        : undefined;
    } catch {
      return undefined;
    }
  }
  if (!name.startsWith('args.')) return undefined;
  return at(input.args, `/${name.slice('args.'.length)}`);
}
