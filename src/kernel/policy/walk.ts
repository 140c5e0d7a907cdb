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

/** What is to be said of a key, remembered: tools have few keys, and each call has them again. */
export function remembered<T>(say: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const answer = say(key);
    // Keys come from callers: what is remembered must not grow with them.
    if (known.size < 1000 && key.length <= 64) known.set(key, answer);
    return answer;
  };
}

const isUrlKey = remembered((key) => URL_KEY.test(key) || URL_CAMEL_KEY.test(key));

interface Frame {
  value: JsonValue;
  trail: Trail | undefined;
  key: string;
  underUrlKey: boolean;
}

interface Walk {
  readonly leaves: Leaf[];
  /** What is still to be looked at, the next one last. */
  readonly stack: Frame[];
  /** Values met so far. */
  seen: number;
}

/** A text is a leaf at once, unless something of the same container, from `begin` on, stands before it. */
function addChild({ leaves, stack }: Walk, begin: number, frame: Frame): void {
  const { value, trail, key, underUrlKey } = frame;
  if (typeof value === 'string' && stack.length === begin)
    leaves.push({ text: value, trail, key, underUrlKey });
  else stack.push(frame);
}

function addChildren(walk: Walk, frame: Frame, container: JsonValue[] | JsonObject): void {
  const { stack } = walk;
  const begin = stack.length;
  const { trail: parent } = frame;
  if (Array.isArray(container)) {
    const { key, underUrlKey } = frame;
    walk.seen += container.length;
    for (let at = 0; at < container.length; at++) {
      const value = container[at] ?? null;
      addChild(walk, begin, { value, trail: { parent, name: at }, key, underUrlKey });
    }
  } else {
    for (const key of Object.keys(container)) {
      const value = container[key];
      if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) continue;
      walk.seen += 1;
      const underUrlKey = frame.underUrlKey || isUrlKey(key);
      addChild(walk, begin, { value, trail: { parent, name: key }, key, underUrlKey });
    }
  }
  if (walk.seen > MAX_NODES) throw new RuntimeError('INVALID_INPUT', 'the arguments are no checked JSON');
  // The stack gives back the last first.
  for (let low = begin, high = stack.length - 1; low < high; low++, high--) {
    const one = stack[low] as Frame;
    stack[low] = stack[high] as Frame;
    stack[high] = one;
  }
}

/** Every string in the arguments, in order of appearance. Throws when they are no checked JSON. */
export function stringLeaves(args: JsonObject): Leaf[] {
  const walk: Walk = { leaves: [], stack: [], seen: 0 };
  addChildren(walk, { value: args, trail: undefined, key: '', underUrlKey: false }, args);
  while (walk.stack.length > 0) {
    const frame = walk.stack.pop() as Frame;
    const { value, trail, key, underUrlKey } = frame;
    if (typeof value === 'string') walk.leaves.push({ text: value, trail, key, underUrlKey });
    else if (typeof value === 'object' && value !== null) addChildren(walk, frame, value);
  }
  return walk.leaves;
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
