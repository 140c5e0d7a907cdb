// Owns reading a host's JSON file with the place of everything in it, so that it can be changed without being written anew.
// Comments and trailing commas are read where the host allows them.
//
// J1: a node's text is exactly text.slice(node.start, node.end).
// J2: what is wrong is told by line and never by its text, which may hold a secret.
import { RuntimeError } from '../../base/errors.ts';

interface Span {
  start: number;
  end: number;
}

export interface Member {
  key: string;
  keyStart: number;
  value: JsonNode;
}

export type JsonNode =
  | (Span & { kind: 'scalar'; value: string | number | boolean | null })
  | (Span & { kind: 'array'; items: JsonNode[] })
  | (Span & {
      kind: 'object';
      members: Member[];
      /** Whether a comma follows the last member. */
      comma: boolean;
      /** After the last member, comma or comment. */
      contentEnd: number;
    });

export type JsonObjectNode = Extract<JsonNode, { kind: 'object' }>;

export interface JsonText {
  text: string;
  root: JsonNode;
  comments: Span[];
}

const DEEPEST = 64;
const BLANK = /[ \t\r\n]/;
const STRING = /"(?:[^"\\\n]|\\[^\n])*"/y;
const WORD = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

class Reader {
  readonly #file: string;
  readonly #text: string;
  readonly #isLenient: boolean;
  readonly comments: Span[] = [];
  #at = 0;
  #contentEnd = 0;

  constructor(file: string, text: string, isLenient: boolean) {
    this.#file = file;
    this.#text = text;
    this.#isLenient = isLenient;
    if (text.startsWith('\uFEFF')) this.#at = 1;
  }

  read(): JsonNode {
    this.#skip();
    const root = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) this.#fail('nothing may follow the first value');
    return root;
  }

  #fail(why: string): never {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    const message = `${this.#file}:${line}: ${why}. Nothing was changed.`;
    throw new RuntimeError('CONFIGURATION_ERROR', message, { file: this.#file, line });
  }

  /** Blanks and comments; notes where the last comment ended. */
  #skip(): void {
    for (;;) {
      while (BLANK.test(this.#text.charAt(this.#at))) this.#at++;
      const opening = this.#text.slice(this.#at, this.#at + 2);
      if (opening !== '//' && opening !== '/*') return;
      if (!this.#isLenient) this.#fail('this host takes no comments');
      const closing = opening === '//' ? /\r?\n|$/g : /\*\//g;
      closing.lastIndex = this.#at + 2;
      const found = closing.exec(this.#text);
      if (found === null) this.#fail('a comment is not closed');
      const end = opening === '//' ? found.index : found.index + 2;
      this.comments.push({ start: this.#at, end });
      this.#at = end;
      this.#contentEnd = end;
    }
  }

  #took(char: string): boolean {
    if (this.#text.charAt(this.#at) !== char) return false;
    this.#at++;
    this.#contentEnd = this.#at;
    this.#skip();
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** What a literal stands for; what JSON does not know is malformed. */
  #literal(pattern: RegExp, why: string): string | number | boolean | null {
    const start = this.#at;
    const word = this.#match(pattern);
    try {
      if (word !== undefined) return JSON.parse(word) as string;
    } catch {
      this.#at = start;
    }
    return this.#fail(`this is not JSON: ${why}`);
  }

  #value(depth: number): JsonNode {
    if (depth > DEEPEST) this.#fail(`it is nested deeper than ${DEEPEST} levels`);
    const first = this.#text.charAt(this.#at);
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    const start = this.#at;
    const value = this.#literal(first === '"' ? STRING : WORD, 'a value is missing or malformed');
    this.#contentEnd = this.#at;
    return { kind: 'scalar', start, end: this.#at, value };
  }

  /** Whether another entry follows a comma; fails where neither a comma nor the end stands. */
  #goesOn(close: string): { more: boolean; comma: boolean } {
    if (!this.#took(',')) {
      if (this.#text.charAt(this.#at) !== close)
        this.#fail(`this is not JSON: a comma or ${close} is missing`);
      return { more: false, comma: false };
    }
    const isLast = this.#text.charAt(this.#at) === close;
    if (isLast && !this.#isLenient) this.#fail('this host takes no comma after the last entry');
    return { more: !isLast, comma: isLast };
  }

  #array(depth: number): JsonNode {
    const start = this.#at;
    this.#took('[');
    const items: JsonNode[] = [];
    let more = this.#text.charAt(this.#at) !== ']';
    while (more) {
      items.push(this.#value(depth + 1));
      this.#skip();
      more = this.#goesOn(']').more;
    }
    this.#at++;
    this.#contentEnd = this.#at;
    return { kind: 'array', start, end: this.#at, items };
  }

  #member(depth: number, before: readonly Member[]): Member {
    const keyStart = this.#at;
    const key = this.#literal(STRING, 'a name in double quotes is missing') as string;
    if (before.some((one) => one.key === key)) this.#fail('a name stands twice in one object');
    this.#skip();
    if (!this.#took(':')) this.#fail('this is not JSON: a colon is missing');
    return { key, keyStart, value: this.#value(depth + 1) };
  }

  #object(depth: number): JsonNode {
    const start = this.#at;
    this.#took('{');
    const members: Member[] = [];
    let step = { more: this.#text.charAt(this.#at) !== '}', comma: false };
    while (step.more) {
      members.push(this.#member(depth, members));
      this.#skip();
      step = this.#goesOn('}');
    }
    const contentEnd = this.#contentEnd;
    this.#at++;
    this.#contentEnd = this.#at;
    return { kind: 'object', start, end: this.#at, members, comma: step.comma, contentEnd };
  }
}

/** Throws CONFIGURATION_ERROR with file and line. `isLenient`: comments and a comma after the last entry are allowed. */
export function readJsonText(file: string, text: string, isLenient: boolean): JsonText {
  const reader = new Reader(file, text, isLenient);
  const root = reader.read();
  return { text, root, comments: reader.comments };
}

export function member(node: JsonNode | undefined, key: string): JsonNode | undefined {
  return node?.kind === 'object' ? node.members.find((one) => one.key === key)?.value : undefined;
}

/** The plain value. */
export function valueOf(node: JsonNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'array') return node.items.map(valueOf);
  return Object.fromEntries(node.members.map(({ key, value }) => [key, valueOf(value)]));
}
