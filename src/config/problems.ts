// Owns what is wrong with a configuration: every problem with its place, reported together as one error.
import { RuntimeError } from '../base/errors.ts';
import { issuePointer } from '../base/parse.ts';
import { showCut } from '../base/text.ts';

export interface Problem {
  /** Name in the configuration directory. */
  file: string;
  /** From 1. */
  line: number;
  column: number;
  /** JSON pointer; `/` is the whole file. */
  path: string;
  message: string;
}

export interface Place {
  line: number;
  column: number;
}

/** Where keys and values of one file stand, by JSON pointer. */
export interface SourcePlaces {
  keys: ReadonlyMap<string, Place>;
  values: ReadonlyMap<string, Place>;
}

export type PathPart = string | number;
const START: Place = { line: 1, column: 1 };
// What a person reads in one go; the count says that there were more.
const MOST_REPORTED = 200;

/** The place of a key or value; of the nearest container when the path leads to nothing. */
export function placeOf(places: SourcePlaces, path: readonly PathPart[], of: 'key' | 'value'): Place {
  const pointer = issuePointer(path);
  const exact =
    of === 'key'
      ? (places.keys.get(pointer) ?? places.values.get(pointer))
      : (places.values.get(pointer) ?? places.keys.get(pointer));
  if (exact !== undefined) return exact;
  return path.length === 0 ? START : placeOf(places, path.slice(0, -1), 'key');
}

/** Collects problems of all files; knows the places of those files that could be read. */
export class Problems {
  readonly #found: Problem[] = [];
  readonly #places = new Map<string, SourcePlaces>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  learn(file: string, places: SourcePlaces): void {
    this.#places.set(file, places);
  }

  /** A problem at a known place. */
  addAt(file: string, place: Place, path: string, message: string): void {
    this.#count++;
    if (this.#found.length >= MOST_REPORTED) return;
    this.#found.push({ file, ...place, path: showCut(path, 300), message: showCut(message, 500) });
  }

  add(file: string, path: readonly PathPart[], message: string, of: 'key' | 'value' = 'value'): void {
    const places = this.#places.get(file);
    const place = places === undefined ? START : placeOf(places, path, of);
    this.addAt(file, place, issuePointer(path), message);
  }

  list(): Problem[] {
    const order = (a: Problem, b: Problem): number => a.line - b.line || a.column - b.column;
    return [...this.#found].sort((a, b) => (a.file === b.file ? order(a, b) : a.file < b.file ? -1 : 1));
  }

  /** Throws CONFIGURATION_ERROR when anything was found. */
  throwIfAny(directory: string): void {
    const problems = this.list();
    const [first] = problems;
    if (first === undefined) return;
    const more = this.#count > 1 ? ` (and ${this.#count - 1} more)` : '';
    throw new RuntimeError('CONFIGURATION_ERROR', `${problemText(first)}${more}`, {
      directory,
      field: first.path,
      count: this.#count,
      problems,
    });
  }
}

/** `policy.yaml:12:5 /policy/version: is required` */
export function problemText(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column} ${problem.path}: ${problem.message}`;
}
