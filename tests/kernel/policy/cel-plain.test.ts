// Conditions without an interpreter: whatever a plain test answers is what the interpreter answers.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../src/base/json.ts';
import { CelInput, celTool, compileCel } from '../../../src/kernel/policy/cel.ts';
import { capability, input } from './fixtures.ts';

const FIELDS = ['a', 'b', 'constructor', 'length'];
const field = fc.oneof({ weight: 9, arbitrary: fc.constant('a') }, fc.constantFrom(...FIELDS));
const text = fc.constantFrom('', 'x', 'xy', 'yx', 'é');
// Often the few that meet; now and then what lies at the edges.
const number = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(0, 1) },
  fc.constantFrom(-0, 2, -1, 1.5, 9007199254740991, 9007199254740992, 1e300, Infinity, NaN),
);
const literal = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('0', '1', '1.5', '"x"') },
  fc.constantFrom('-1', '1.0', '9007199254740991', '9007199254740993', 'true', 'false', 'null'),
);
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constant('args.a') },
  field.map((name) => `args.${name}`),
  field.map((name) => `args["${name}"]`),
  fc.tuple(field, field).map(([one, two]) => `args.${one}.${two}`),
  fc.constantFrom('identity.principal', 'session.lane', 'tool.id', 'tool.risk'),
  fc.constantFrom('history.repeats', 'history.cost_usd'),
);
const atom = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(path, fc.constantFrom('==', '!=', '<', '<=', '>', '>='), literal)
      .map(([left, op, right]) => `${left} ${op} ${right}`),
  },
  fc
    .tuple(path, fc.constantFrom('startsWith', 'endsWith', 'contains'), text)
    .map(([of, name, part]) => `${of}.${name}(${JSON.stringify(part)})`),
  fc
    .tuple(path, fc.array(text, { minLength: 1, maxLength: 3 }))
    .map(([of, all]) => `${of} in ${JSON.stringify(all)}`),
  field.map((name) => `has(args.${name})`),
  path,
);
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    atom,
    fc
      .tuple(tie('expression'), fc.constantFrom('&&', '||'), tie('expression'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('expression').map((one) => `!(${one})`),
  ),
}));
const leaf = fc.oneof(
  { weight: 3, arbitrary: number },
  { weight: 2, arbitrary: text },
  fc.boolean(),
  fc.constant(null),
);
const value = fc.oneof(
  { weight: 4, arbitrary: leaf },
  leaf,
  fc.array(leaf, { maxLength: 2 }),
  fc.dictionary(field, leaf, { maxKeys: 2 }),
);
const args = fc.dictionary(field, value, { minKeys: 1, maxKeys: 3 });

/** A conditional is nothing plain: the interpreter answers it whole. */
const interpreted = (of: string): string => `(${of}) ? true : false`;

function answers(of: string, given: JsonObject, repeats: number): unknown {
  const asked = input({ args: given });
  const history = { ...asked.history, repeats };
  const variables = new CelInput({ ...asked, history }, celTool(capability()));
  try {
    return compileCel('rule', of)(variables);
  } catch (error) {
    return (error as Error).message;
  }
}

test('a plain condition answers as the interpreter does', () => {
  const seen = { holds: 0, fails: 0, problem: 0 };
  const agree = (of: string, given: JsonObject, repeats: number): void => {
    const asked = answers(interpreted(of), given, repeats);
    // Not every generated text is an expression.
    if (typeof asked === 'string') return;
    seen[asked === true ? 'holds' : asked === false ? 'fails' : 'problem'] += 1;
    const answer = answers(of, given, repeats);
    // Why there is no answer, the two forms word differently.
    if (typeof asked === 'boolean') expect(answer, of).toBe(asked);
    else expect(answer, of).toHaveProperty('problem');
  };
  fc.assert(fc.property(expression, args, fc.constantFrom(0, 1, NaN), agree), { numRuns: 6000, seed: 7 });
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(200);
});
