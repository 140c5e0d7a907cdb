// Owns the step from YAML text to a plain value with the place of every key and value. What YAML has beyond JSON is
// refused (tags, directives, merge keys, several documents, keys that are no text) or bounded (aliases).
// Y1: nothing is parsed that scanYaml has not passed. Y2: nothing is returned that had any error or warning.
import type { Alias, Document, LineCounter, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { issuePointer } from '../base/parse.ts';
import { showCut } from '../base/text.ts';
import type { PathPart, Place, Problems, SourcePlaces } from './problems.ts';
import { MAX_YAML_DEPTH, scanYaml } from './scan.ts';

type Yaml = typeof import('yaml');

const MAX_ALIASES = 20;
const MAX_VALUES = 50_000;
const MAX_SYNTAX_PROBLEMS = 20;
const RESERVED_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

export interface YamlFile {
  value: Record<string, unknown>;
  places: SourcePlaces;
}

/** Thrown inside the walk to leave it; the problem is already noted. */
const GIVE_UP = Symbol('give up');

interface Spot {
  path: PathPart[];
  depth: number;
  /** Inside an alias: where the alias stands. */
  alias?: Place;
  /** The value of a key: where the key stands. */
  key?: Place;
}

class Walk {
  readonly keys = new Map<string, Place>();
  readonly values = new Map<string, Place>();
  readonly #anchors = new Map<string, Node>();
  readonly #yaml: Yaml;
  readonly #lines: LineCounter;
  readonly #report: (place: Place, path: readonly PathPart[], message: string) => void;
  #aliases = 0;
  #count = 0;

  constructor(
    yaml: Yaml,
    lines: LineCounter,
    report: (place: Place, path: readonly PathPart[], message: string) => void,
  ) {
    this.#yaml = yaml;
    this.#lines = lines;
    this.#report = report;
  }

  value(node: unknown, spot: Spot, fallback: Place): unknown {
    const { isAlias, isMap, isSeq, isScalar } = this.#yaml;
    const place = spot.alias ?? this.#placeOfValue(node, spot) ?? fallback;
    this.values.set(issuePointer(spot.path), place);
    if (++this.#count > MAX_VALUES) this.#stop(place, spot.path, `holds more than ${MAX_VALUES} values`);
    if (spot.depth > MAX_YAML_DEPTH) {
      this.#stop(place, spot.path, `is nested deeper than ${MAX_YAML_DEPTH} levels`);
    }
    if (node === null || node === undefined) return null;
    if (isAlias(node)) return this.#alias(node, spot, place);
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) {
      this.#stop(place, spot.path, 'is not a YAML value');
    }
    this.#refuseTag(node, place, spot.path);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#map(node, spot, place);
    if (isSeq(node)) return this.#seq(node, spot, place);
    return this.#scalar(node, spot, place);
  }

  #place(node: unknown): Place | undefined {
    const offset = (node as { range?: [number, number, number] | null } | null)?.range?.[0];
    if (offset === undefined) return undefined;
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** What has no sign of its own (nothing, or a mapping or list in block form) stands where its key does. */
  #placeOfValue(node: unknown, spot: Spot): Place | undefined {
    const { isCollection, isScalar } = this.#yaml;
    const isBare = isScalar(node) ? node.source === '' : isCollection(node) && node.flow !== true;
    return (isBare ? spot.key : undefined) ?? this.#place(node);
  }

  #stop(place: Place, path: readonly PathPart[], message: string): never {
    this.#report(place, path, message);
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- never leaves readYaml
    throw GIVE_UP;
  }

  #refuseTag(node: { tag?: string }, place: Place, path: readonly PathPart[]): void {
    if (node.tag === undefined) return;
    this.#report(place, path, `has the tag "${showCut(node.tag, 80)}"; tags are not accepted`);
  }

  #alias(node: Alias, spot: Spot, place: Place): unknown {
    if (++this.#aliases > MAX_ALIASES) {
      this.#stop(place, spot.path, `is one alias too many; a file may use ${MAX_ALIASES}`);
    }
    const target = this.#anchors.get(node.source);
    if (target === undefined) {
      this.#stop(
        place,
        spot.path,
        `refers to the anchor "${showCut(node.source, 80)}", which does not exist`,
      );
    }
    return this.value(target, { ...spot, depth: spot.depth + 1, alias: place }, place);
  }

  #map(node: YAMLMap, spot: Spot, place: Place): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = this.#key(pair, spot, place);
      if (key === undefined) continue;
      const path = [...spot.path, key];
      const keyPlace = spot.alias ?? this.#place(pair.key) ?? place;
      if (Object.hasOwn(value, key)) this.#report(keyPlace, path, 'stands twice in one mapping');
      this.keys.set(issuePointer(path), keyPlace);
      value[key] = this.value(pair.value, { ...spot, path, depth: spot.depth + 1, key: keyPlace }, keyPlace);
    }
    return value;
  }

  #key(pair: Pair, spot: Spot, parent: Place): string | undefined {
    const place = spot.alias ?? this.#place(pair.key) ?? parent;
    const { key } = pair;
    if (!this.#yaml.isScalar(key) || typeof key.value !== 'string') {
      const shown = this.#yaml.isScalar(key) ? ` ${showCut(String(key.value), 80)}` : '';
      this.#report(
        place,
        spot.path,
        `has the key${shown}, which is not text; put it in quotes if it is meant`,
      );
      return undefined;
    }
    const path = [...spot.path, key.value];
    this.#refuseTag(key, place, path);
    if (key.value === '<<') {
      this.#report(place, path, 'is a merge key, which is not accepted; write the keys out');
      return undefined;
    }
    if (RESERVED_KEYS.has(key.value)) {
      this.#report(place, path, 'is a reserved key');
      return undefined;
    }
    return key.value;
  }

  #seq(node: YAMLSeq, spot: Spot, place: Place): unknown[] {
    const { key: _key, ...rest } = spot;
    return node.items.map((item, at) =>
      this.value(item, { ...rest, path: [...spot.path, at], depth: spot.depth + 1 }, place),
    );
  }

  #scalar(node: Scalar, spot: Spot, place: Place): unknown {
    const { value, source } = node;
    if (typeof value !== 'number') return value;
    if (!Number.isFinite(value)) this.#report(place, spot.path, 'is not a finite number');
    else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      this.#report(place, spot.path, 'is an integer beyond 2^53');
    } else if (/^[-+]?0[\dox]/i.test(source ?? '')) {
      this.#report(
        place,
        spot.path,
        `is written ${showCut(source ?? '', 40)}, which readers do not agree on; write it in decimal, or quote it`,
      );
    }
    return value;
  }
}

function syntaxProblems(
  doc: Document.Parsed,
  lines: LineCounter,
  report: (p: Place, m: string) => void,
): void {
  for (const fault of [...doc.errors, ...doc.warnings].slice(0, MAX_SYNTAX_PROBLEMS)) {
    const { line, col } = lines.linePos(fault.pos[0]);
    const place = { line: Math.max(line, 1), column: Math.max(col, 1) };
    if (fault.code === 'MULTIPLE_DOCS') report(place, 'begins a second document; a file holds one');
    else if (fault.code === 'TAG_RESOLVE_FAILED') report(place, 'has a tag; tags are not accepted');
    else report(place, `is not YAML: ${showCut(fault.message.split('\n')[0] ?? '', 200)}`);
  }
  const { directives } = doc;
  if (directives.yaml.explicit === true || Object.keys(directives.tags).length > 1) {
    report({ line: 1, column: 1 }, 'begins with a directive (%YAML or %TAG); directives are not accepted');
  }
}

/**
 * Reads the text of one file. Everything wrong with it goes to `problems`; then, and when the text is no mapping,
 * the answer is undefined. `shownPath` is the file's path for the sentence that names it.
 */
export async function readYaml(
  file: string,
  text: string,
  shownPath: string,
  problems: Problems,
): Promise<YamlFile | undefined> {
  const yaml: Yaml = await import('yaml');
  const before = problems.count;
  const refuse = (place: Place, message: string): void => {
    problems.addAt(file, place, '/', message);
  };
  try {
    const scanned = scanYaml(text, () => new yaml.Lexer());
    if (scanned !== undefined) {
      refuse(scanned.place, scanned.message);
      return undefined;
    }
    const lines = new yaml.LineCounter();
    const doc = yaml.parseDocument(text, {
      schema: 'core',
      version: '1.2',
      merge: false,
      strict: true,
      uniqueKeys: false, // the walk says where
      prettyErrors: false,
      lineCounter: lines,
      logLevel: 'error', // 'silent' would also keep a second document from being an error
    });
    syntaxProblems(doc, lines, refuse);
    if (problems.count > before) return undefined;
    const walk = new Walk(yaml, lines, (place, path, message) => {
      problems.addAt(file, place, issuePointer(path), message);
    });
    const value = walk.value(doc.contents, { path: [], depth: 1 }, { line: 1, column: 1 });
    if (problems.count > before) return undefined;
    if (!yaml.isMap(doc.contents)) {
      refuse({ line: 1, column: 1 }, `Config at ${shownPath} must be a mapping at the top level`);
      return undefined;
    }
    return { value: value as Record<string, unknown>, places: walk };
  } catch (thrown) {
    // A parser that throws has not understood the text, and then nobody has.
    if (problems.count === before) {
      const why = thrown instanceof Error ? `: ${showCut(thrown.message, 120)}` : '';
      refuse({ line: 1, column: 1 }, `cannot be parsed as YAML${why}`);
    }
    return undefined;
  }
}
