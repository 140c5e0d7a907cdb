// Owns the CEL words about a session's past: `past.calls(tool)`, its sums and values, and the labels of texts.
import type { Environment } from '@marcbachmann/cel-js';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonValue } from '../../base/json.ts';
import type { DecisionInput } from './decision.ts';
import { isPast, LEAST_CHARACTERS, valuesAt } from './past.ts';
import type { Labels, Past, PastCall } from './past.ts';
import { parsePointer } from './walk.ts';

// Each walks what is held of the session; a comprehension could ask without end.
const MAX_LOOKUPS = 200;

/** CEL's integers and ours are one value. */
function isSame(held: JsonValue, given: unknown): boolean {
  if (typeof held === 'number') return typeof given !== 'string' && Number(given) === held;
  return held === given;
}

export class CelCalls {
  /** Started, unless it is certain that nothing ran. */
  readonly count: bigint;
  /** Ended well. */
  readonly done: bigint;
  readonly #calls: readonly PastCall[];
  constructor(calls: readonly PastCall[]) {
    this.#calls = calls.filter(({ outcome }) => outcome !== 'not_executed');
    this.count = BigInt(this.#calls.length);
    this.done = BigInt(this.#finished().length);
  }
  #finished(): readonly PastCall[] {
    return this.#calls.filter(({ outcome }) => outcome === 'done');
  }
  /** Of the numbers at the pointer in the arguments of every counted call. */
  sum(pointer: string): number {
    const tokens = parsePointer(pointer);
    const numbers = this.#calls.flatMap(({ args }) => valuesAt(args, tokens));
    return numbers.reduce<number>((total, one) => (typeof one === 'number' ? total + one : total), 0);
  }
  /** Whether a call that ended well returned this value at the pointer. */
  returned(pointer: string, value: unknown): boolean {
    const tokens = parsePointer(pointer);
    return this.#finished().some(({ result }) =>
      valuesAt(result, tokens).some((held) => isSame(held, value)),
    );
  }
  /** Whether a counted call was given this value at the pointer. */
  given(pointer: string, value: unknown): boolean {
    const tokens = parsePointer(pointer);
    return this.#calls.some(({ args }) => valuesAt(args, tokens).some((held) => isSame(held, value)));
  }
}

export class CelPast {
  readonly #past: Past;
  #lookups = 0;
  constructor({ past }: DecisionInput) {
    if (past === undefined || !isPast(past)) {
      throw new RuntimeError(
        'INTERNAL',
        `the session's past cannot be relied on: ${past?.why ?? 'it was not gathered'}`,
      );
    }
    this.#past = past;
  }
  #count(): Past {
    if (++this.#lookups > MAX_LOOKUPS)
      throw new RuntimeError('INTERNAL', 'the rule asks too often about the past');
    return this.#past;
  }
  #labels(text: unknown): Labels {
    const isText = typeof text === 'string' && text.length >= LEAST_CHARACTERS;
    return isText ? this.#count().labels(text) : { user: false, untrusted: [] };
  }
  calls(tool: string): CelCalls {
    return new CelCalls(this.#count().calls(tool));
  }
  user(text: unknown): boolean {
    return this.#labels(text).user;
  }
  untrusted(text: unknown): boolean {
    return this.#labels(text).untrusted.length > 0;
  }
  unknown(text: unknown): boolean {
    const { user, untrusted } = this.#labels(text);
    return !user && untrusted.length === 0;
  }
  readFrom(text: unknown, server: string): boolean {
    return this.#labels(text).untrusted.some((source) => source.isRead && source.server === server);
  }
}

export function registerPast(environment: Environment): Environment {
  return environment
    .registerType('Past', { ctor: CelPast, fields: {} })
    .registerType('Calls', { ctor: CelCalls, fields: { count: 'int', done: 'int' } })
    .registerVariable('past', 'Past')
    .registerFunction('Past.calls(string): Calls', (past: CelPast, tool: string) => past.calls(tool))
    .registerFunction('Past.user(dyn): bool', (past: CelPast, text: unknown) => past.user(text))
    .registerFunction('Past.untrusted(dyn): bool', (past: CelPast, text: unknown) => past.untrusted(text))
    .registerFunction('Past.unknown(dyn): bool', (past: CelPast, text: unknown) => past.unknown(text))
    .registerFunction('Past.read_from(dyn, string): bool', (past: CelPast, text: unknown, server: string) =>
      past.readFrom(text, server),
    )
    .registerFunction('Calls.sum(string): double', (calls: CelCalls, pointer: string) => calls.sum(pointer))
    .registerFunction(
      'Calls.returned(string, dyn): bool',
      (calls: CelCalls, pointer: string, value: unknown) => calls.returned(pointer, value),
    )
    .registerFunction('Calls.given(string, dyn): bool', (calls: CelCalls, pointer: string, value: unknown) =>
      calls.given(pointer, value),
    );
}
