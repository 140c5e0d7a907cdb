// Owns the walk over call arguments: every string with where it stands, without recursion.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';

/** Where a value stands; written out as a pointer only when somebody asks. */
export interface Trail {
  readonly parent: Trail | undefined;
  readonly name: string | number;
}

export interface Leaf {
  readonly text: string;
  readonly trail: Trail | undefined;
  /** The object key it stands under, also through arrays. */
  readonly key: string;
  /** Some key on the way here, at any height, names a URL. */
  readonly underUrlKey: boolean;
}

// The last word of a key: `url`, `callbackUrl`, `BASE_URL`, `links`, `image_href`, `xlink:href`, `redirect-uri`, `url_2`.
const URL_KEY = /(?:^|[^a-z0-9])(?:ur[li]|href|link|endpoint|callback|webhook)s?(?:[^a-z0-9]?\d+)?$/i;
const URL_CAMEL_KEY =
  /[a-z0-9](?:U(?:r[li]|R[LI])|H(?:ref|REF)|Link|Endpoint|Callback|Webhook)s?(?:[^a-z0-9]?\d+)?$/;
// Checked JSON of at most a megabyte has fewer nodes; more means that the value was never checked (or is a ring).
const MAX_NODES = 1_000_000;

/** A test of a key, remembered: tools have few keys, and each call has them again. */
export function rememberedTest(test: (key: string) => boolean): (key: string) => boolean {
  const known = new Map<string, boolean>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const answer = test(key);
    // Keys come from callers: what is remembered must not grow with them.
    if (known.size < 1000 && key.length <= 64) known.set(key, answer);
    return answer;
  };
}

const isUrlKey = rememberedTest((key) => URL_KEY.test(key) || URL_CAMEL_KEY.test(key));

interface Frame {
  value: JsonValue;
  trail: Trail | undefined;
  key: string;
  underUrlKey: boolean;
}

function pushChildren(stack: Frame[], frame: Frame, container: JsonValue[] | JsonObject): void {
  if (Array.isArray(container)) {
    for (let at = container.length - 1; at >= 0; at--) {
      const value = container[at] ?? null;
      stack.push({
        value,
        trail: { parent: frame.trail, name: at },
        key: frame.key,
        underUrlKey: frame.underUrlKey,
      });
    }
    return;
  }
  // Last first: the stack gives them back in order of appearance.
  const keys = Object.keys(container);
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = keys[at] ?? '';
    const value = container[key];
    if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) continue;
    const underUrlKey = frame.underUrlKey || isUrlKey(key);
    stack.push({ value, trail: { parent: frame.trail, name: key }, key, underUrlKey });
  }
}

/** Every string in the arguments. Throws when they are no checked JSON. */
export function stringLeaves(args: JsonObject): Leaf[] {
  const leaves: Leaf[] = [];
  const stack: Frame[] = [];
  pushChildren(stack, { value: args, trail: undefined, key: '', underUrlKey: false }, args);
  let seen = 0;
  for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) {
    if (++seen > MAX_NODES) throw new RuntimeError('INVALID_INPUT', 'the arguments are no checked JSON');
    const { value } = frame;
    if (typeof value === 'string') {
      leaves.push({ text: value, trail: frame.trail, key: frame.key, underUrlKey: frame.underUrlKey });
    } else if (typeof value === 'object' && value !== null) {
      pushChildren(stack, frame, value);
    }
  }
  return leaves;
}

/** JSON pointer of a trail. */
export function pointerOf(trail: Trail | undefined): string {
  let out = '';
  for (let step = trail; step !== undefined; step = step.parent) {
    out = `/${String(step.name).replaceAll('~', '~0').replaceAll('/', '~1')}${out}`;
  }
  return out;
}

export function parsePointer(pointer: string): string[] {
  const tokens = pointer.split('/').slice(1);
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Whether a trail lies at, or beneath, a pointer in which `-` stands for every array element. */
export function isBeneath(trail: Trail | undefined, tokens: readonly string[]): boolean {
  const names: (string | number)[] = [];
  for (let step = trail; step !== undefined; step = step.parent) names.unshift(step.name);
  if (names.length < tokens.length) return false;
  return tokens.every((token, at) => {
    const name = names[at];
    return typeof name === 'number' ? token === '-' || token === String(name) : token === name;
  });
}
