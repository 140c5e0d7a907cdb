// Owns the walk over call arguments: every string with where it stands, without recursion, and every key that names more
// than a field.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { meaningOf } from './keys.ts';

/** Where a value stands; written out as a pointer only when somebody asks. */
export interface Trail {
  readonly parent: Trail | undefined;
  readonly name: string | number;
}

export interface Leaf {
  readonly text: string;
  readonly trail: Trail | undefined;
  /** It is the last key of its trail, and not what stands under that. */
  readonly isKey: boolean;
  /** The key it stands under, also through arrays, names a path; or only one above that does. */
  readonly path: 'own' | 'above' | undefined;
  /** Some key on the way here, at any height, names a URL. */
  readonly underUrlKey: boolean;
}

// Checked JSON of at most a megabyte has fewer nodes; more means that the value was never checked (or is a ring).
const MAX_NODES = 1_000_000;

interface Frame {
  value: JsonValue;
  trail: Trail | undefined;
  path: Leaf['path'];
  underUrlKey: boolean;
}

interface Walk {
  readonly leaves: Leaf[];
  /** What is still to be looked at, the next one last. */
  readonly stack: Frame[];
  /** Numbers too, as their texts, and the names of fields. */
  readonly isWhole: boolean;
  /** Values met so far. */
  seen: number;
}

function textIn({ isWhole }: Walk, value: JsonValue): string | undefined {
  if (typeof value === 'string') return value;
  return isWhole && typeof value === 'number' ? String(value) : undefined;
}

function leafOf({ trail, path, underUrlKey }: Frame, text: string): Leaf {
  return { text, trail, isKey: false, path, underUrlKey };
}

/** A text is a leaf at once, unless something of the same container, from `begin` on, stands before it. */
function addChild(walk: Walk, begin: number, frame: Frame): void {
  const text = walk.stack.length === begin ? textIn(walk, frame.value) : undefined;
  if (text === undefined) walk.stack.push(frame);
  else walk.leaves.push(leafOf(frame, text));
}

/** What stands beneath a path's name is as much a path as it looks like one, but for what the file itself holds. */
function pathBeneath(frame: Frame, key: string, value: JsonValue): Leaf['path'] {
  const meaning = meaningOf(key);
  if (meaning.isPath) return 'own';
  if (frame.path === undefined || (meaning.isContent && typeof value === 'string')) return undefined;
  return 'above';
}

function addEntries(walk: Walk, begin: number, frame: Frame, container: JsonObject): void {
  const { trail: parent } = frame;
  for (const key of Object.keys(container)) {
    const value = container[key] ?? null;
    // The keys of the arguments themselves are the tool's own.
    if (parent !== undefined && (walk.isWhole || !meaningOf(key).isField)) {
      const path = frame.path === undefined ? undefined : 'above';
      const { underUrlKey } = frame;
      walk.leaves.push({ text: key, trail: { parent, name: key }, isKey: true, path, underUrlKey });
    }
    if (value === null || (typeof value !== 'object' && textIn(walk, value) === undefined)) continue;
    walk.seen += 1;
    const trail = { parent, name: key };
    const underUrlKey = frame.underUrlKey || meaningOf(key).isUrl;
    addChild(walk, begin, { value, trail, path: pathBeneath(frame, key, value), underUrlKey });
  }
}

function addChildren(walk: Walk, frame: Frame, container: JsonValue[] | JsonObject): void {
  const { stack } = walk;
  const begin = stack.length;
  if (Array.isArray(container)) {
    const { trail: parent, path, underUrlKey } = frame;
    walk.seen += container.length;
    for (let at = 0; at < container.length; at++) {
      const value = container[at] ?? null;
      addChild(walk, begin, { value, trail: { parent, name: at }, path, underUrlKey });
    }
  } else addEntries(walk, begin, frame, container);
  if (walk.seen > MAX_NODES) throw new RuntimeError('INVALID_INPUT', 'the arguments are no checked JSON');
  // The stack gives back the last first.
  for (let low = begin, high = stack.length - 1; low < high; low++, high--) {
    const one = stack[low] as Frame;
    stack[low] = stack[high] as Frame;
    stack[high] = one;
  }
}

function leavesOf(args: JsonObject, isWhole: boolean): Leaf[] {
  const walk: Walk = { leaves: [], stack: [], isWhole, seen: 0 };
  addChildren(walk, { value: args, trail: undefined, path: undefined, underUrlKey: false }, args);
  while (walk.stack.length > 0) {
    const frame = walk.stack.pop() as Frame;
    const { value } = frame;
    const text = textIn(walk, value);
    if (text !== undefined) walk.leaves.push(leafOf(frame, text));
    else if (typeof value === 'object' && value !== null) addChildren(walk, frame, value);
  }
  return walk.leaves;
}

/** Every string in the arguments, in order of appearance, and odd keys. Throws when they are no checked JSON. */
export function stringLeaves(args: JsonObject): Leaf[] {
  return leavesOf(args, false);
}

/** The same with every number as its text and every key beneath the first: what has a role has it in any form. */
export function wholeLeaves(args: JsonObject): Leaf[] {
  return leavesOf(args, true);
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

/** Whether a leaf lies at, or beneath, a pointer in which `-` stands for every array element. A key lies beneath what it
 * is a key of. */
export function isBeneath(
  { trail, isKey }: Pick<Leaf, 'trail' | 'isKey'>,
  tokens: readonly string[],
): boolean {
  const names: (string | number)[] = [];
  for (let step = isKey ? trail?.parent : trail; step !== undefined; step = step.parent)
    names.unshift(step.name);
  if (names.length < tokens.length) return false;
  return tokens.every((token, at) => {
    const name = names[at];
    return typeof name === 'number' ? token === '-' || token === String(name) : token === name;
  });
}
