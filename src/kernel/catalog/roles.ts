// Owns the suggestion of what an argument is for, from its name and format. A person decides; a suggestion decides nothing.
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';

export type Role = 'sink' | 'reference' | 'content';

// Where something goes, who gets it, with whose right, or what runs.
const SINK =
  /(?:^|_)(?:to|cc|bcc|recipients?|emails?|address(?:es)?|phone|ur[li]s?|href|endpoint|webhook|callback|hosts?|domain|iban|account|accounts|payee|beneficiary|wallet|password|passwd|secret|token|api_key|credentials?|command|cmd|script|code|sql|query_sql|shell|executable|channel|members?|participants?|users?|attendees|invitees?)$/;
const REFERENCE =
  /(?:^|_)(?:ids?|uuids?|key|number|ref|reference|slug|path|file|filename|sha|branch|issue|ticket)$/;
const SINK_FORMAT = new Set([
  'email',
  'idn-email',
  'uri',
  'uri-reference',
  'iri',
  'hostname',
  'idn-hostname',
  'ipv4',
  'ipv6',
]);

/** `toAddress`, `To-Address` and `to_address` are one name. */
function plainName(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();
}

function roleOf(name: string, schema: JsonObject): Role | undefined {
  const holds = schema['type'] === 'array' && isObject(schema['items']) ? schema['items'] : schema;
  if (!isObject(holds) || (holds['type'] !== undefined && holds['type'] !== 'string')) return undefined;
  if (Array.isArray(holds['enum']) || holds['const'] !== undefined) return 'content';
  if (typeof holds['format'] === 'string' && SINK_FORMAT.has(holds['format'])) return 'sink';
  const plain = plainName(name);
  if (holds['format'] === 'uuid' || REFERENCE.test(plain)) return 'reference';
  return SINK.test(plain) ? 'sink' : 'content';
}

/** By pointer, for the arguments at the top of an input schema that are texts or lists of texts. */
export function suggestRoles(inputSchema: JsonObject): { pointer: string; role: Role }[] {
  const { properties } = inputSchema;
  if (!isObject(properties)) return [];
  return Object.entries(properties).flatMap(([name, schema]) => {
    const role = isObject(schema) ? roleOf(name, schema) : undefined;
    const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return role === undefined ? [] : [{ pointer, role }];
  });
}
