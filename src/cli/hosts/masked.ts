// Owns how a host's file is shown: environment, headers, comments and whatever looks like a credential are left out, in the
// text as it was and as it will be alike.
import { createRedactor } from '../../kernel/evidence/redact.ts';
import { applySplices } from './json-edit.ts';
import type { Splice } from './json-edit.ts';
import type { JsonNode, JsonText } from './json-text.ts';

const HIDDEN = '"[REDACTED]"';
const HOLDS_SECRETS = new Set(['env', 'headers', 'http_headers', 'requestInit', 'auth', 'oauth']);
const SECRET_NAME = /key|token|secret|passw|credential|authorization|cookie|bearer/i;
const SECRET_ITEM = /(?:key|token|secret|passw\w*|credential|authorization|cookie)[\w-]*\s*[=:]|\bbearer\s/i;
// User and password in a URL, and anything after its path.
const TELLING_URL = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/\s]*@|[^?#\s]*[?#])/i;
const LONG_WORD = /^[A-Za-z0-9_+/=.-]{32,}$/;

function looksSecret(value: string): boolean {
  if (SECRET_ITEM.test(value) || TELLING_URL.test(value)) return true;
  // Long random words: letters and digits mixed, and no path.
  return LONG_WORD.test(value) && /\d/.test(value) && /[A-Za-z]/.test(value) && !/[/.]/.test(value);
}

function masks(node: JsonNode, isHidden: boolean): Splice[] {
  const hide = (): Splice[] => [{ start: node.start, end: node.end, text: HIDDEN }];
  if (node.kind === 'scalar') {
    const { value } = node;
    if (isHidden) return value === '' ? [] : hide();
    return typeof value === 'string' && looksSecret(value) ? hide() : [];
  }
  if (node.kind === 'object') {
    return node.members.flatMap(({ key, value }) =>
      masks(value, isHidden || HOLDS_SECRETS.has(key) || SECRET_NAME.test(key)),
    );
  }
  return node.items.flatMap((item, at) => {
    const before = node.items[at - 1];
    const flag = before?.kind === 'scalar' && typeof before.value === 'string' ? before.value : '';
    // `--api-key VALUE`; what `--pass-env` names is a name.
    return masks(item, isHidden || (/^--?[A-Za-z]/.test(flag) && SECRET_NAME.test(flag)));
  });
}

/** Texts that stand under a name that holds secrets: they are left out wherever else they stand too. */
function secretsOf(node: JsonNode, isSecret: boolean): string[] {
  if (node.kind === 'scalar') return isSecret && typeof node.value === 'string' ? [node.value] : [];
  if (node.kind === 'array') return node.items.flatMap((item) => secretsOf(item, isSecret));
  return node.members.flatMap(({ key, value }) => secretsOf(value, isSecret || HOLDS_SECRETS.has(key)));
}

/** The text with what may be secret left out; lines stay lines. */
export function masked({ text, root, comments }: JsonText): string {
  const remarks = comments.map(({ start, end }) => {
    const isLine = text.startsWith('//', start);
    const breaks = text.slice(start, end).replace(/[^\n]/g, '');
    return { start, end, text: isLine ? '// …' : `/* …${breaks} */` };
  });
  const secrets = secretsOf(root, false);
  const shown = applySplices(text, [...masks(root, false), ...remarks]);
  return createRedactor({ secrets, fields: [], patterns: [] }).text(shown);
}
