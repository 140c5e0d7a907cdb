// Owns the order in which the keys of an object stand in canonical text. Objects come in few shapes, and to sort the keys of
// one costs more than to write them; so the order of a list of keys is kept, and found again by comparing the lists.
//
// What is kept is bounded, whatever objects come: so many first keys, so many lists beginning with one, so long a list.
import { isPlainText } from './plain-text.ts';

/** A key, and its text with the colon where the key stands in JSON as it is. */
export interface OrderedKey {
  key: string;
  said: string | undefined;
}

interface Shape {
  keys: string[];
  order: OrderedKey[];
}

const MOST_FIRST_KEYS = 256;
// All records of one session begin with the same key.
const MOST_ALIKE = 32;
const LONGEST = 2048; // characters of all keys of a list

const shapes = new Map<string, Shape[]>();

function isSame(a: string[], b: string[]): boolean {
  if (a.length !== b.length) return false;
  // Shapes that begin alike differ at their ends.
  for (let index = a.length - 1; index >= 0; index--) if (a[index] !== b[index]) return false;
  return true;
}

function sorted(keys: string[]): OrderedKey[] {
  // By UTF-16 code units, which is how `sort` compares.
  return keys.toSorted().map((key) => ({ key, said: isPlainText(key) ? `"${key}":` : undefined }));
}

function keep(first: string, shape: Shape): void {
  let alike = shapes.get(first);
  if (alike === undefined) {
    if (shapes.size >= MOST_FIRST_KEYS) shapes.clear();
    alike = [];
    shapes.set(first, alike);
  }
  if (alike.length >= MOST_ALIKE) alike.length = 0;
  alike.push(shape);
}

/** The keys of the object by UTF-16 code units. */
export function orderedKeys(value: object): readonly OrderedKey[] {
  const keys = Object.keys(value);
  const [first] = keys;
  if (first === undefined) return [];
  for (const shape of shapes.get(first) ?? []) if (isSame(shape.keys, keys)) return shape.order;
  const order = sorted(keys);
  if (keys.reduce((length, key) => length + key.length, 0) <= LONGEST) keep(first, { keys, order });
  return order;
}
