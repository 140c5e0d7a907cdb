import { describe, expect, test } from 'vitest';
import { pathToFileURL } from 'node:url';
import type { JsonObject, JsonValue } from '../../../src/base/json.ts';
import { checkArgs, prepareSchema, SchemaCache } from '../../../src/kernel/policy/arg-schema.ts';
import { judgeRegex } from '../../../src/kernel/policy/linear-regex.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, gateOf, input } from './fixtures.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';

const workerUrl = pathToFileURL('dist/kernel/policy/schema-worker.js');

async function refusal(schema: JsonObject): Promise<string> {
  const began = performance.now();
  const prepared = await prepareSchema(schema, { workerUrl });
  expect(performance.now() - began).toBeLessThan(3000);
  return 'refused' in prepared ? prepared.refused : 'taken';
}
async function check(schema: JsonObject, args: JsonValue): Promise<ReturnType<typeof checkArgs>> {
  return checkArgs(await prepareSchema(schema, { workerUrl }), args);
}
const nest = (depth: number): JsonObject => {
  let out: JsonObject = { type: 'string' };
  for (let at = 0; at < depth; at++) out = { properties: { a: out } };
  return out;
};

describe('strict arguments', () => {
  verifies(
    { partial: ['PO-12'] },
    'types are not coerced, own properties count only, and the full vocabulary holds',
    async () => {
      const cases: [JsonObject, JsonValue, boolean][] = [
        [{ type: 'object', properties: { n: { type: 'integer' } } }, { n: '1' }, false],
        [{ type: 'object', properties: { b: { type: 'boolean' } } }, { b: 1 }, false],
        [{ type: 'object', properties: { s: { type: 'string' } } }, { s: null }, false],
        [{ type: 'object', required: ['constructor'] }, {}, false],
        [{ type: 'object', required: ['toString'] }, {}, false],
        [{ type: 'object', additionalProperties: false, properties: { a: {} } }, { a: 1, A: 2 }, false],
        [{ type: 'object' }, { anything: 1 }, true],
        [{ oneOf: [{ type: 'string' }, { type: 'number' }] }, true, false],
        [{ anyOf: [{ type: 'string' }, { type: 'number' }] }, 3, true],
        [{ $defs: { x: { type: 'string' } }, properties: { a: { $ref: '#/$defs/x' } } }, { a: 1 }, false],
        [{ patternProperties: { '^x-': { type: 'string' } } }, { 'x-a': 1 }, false],
        [{ properties: { d: { type: 'string', format: 'date' } } }, { d: '2026-02-30' }, false],
        [{ properties: { d: { type: 'string', format: 'email' } } }, { d: 'a@b.test' }, true],
        [{ $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] }, [1], false],
        [
          { $schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: [{ type: 'string' }] },
          [1],
          false,
        ],
        [{ unevaluatedProperties: false, properties: { a: {} } }, { b: 1 }, false],
      ];
      for (const [schema, args, ok] of cases) {
        expect((await check(schema, args)).ok, JSON.stringify(schema)).toBe(ok);
      }
      const args = { n: 1 };
      await check({ properties: { m: { default: 5 } } }, args);
      expect(args).toEqual({ n: 1 });
    },
  );

  verifies(
    { partial: ['PO-12'] },
    'the decision names path and fault; a missing or unprepared schema denies',
    async () => {
      const gate = await gateOf();
      const wrong = gate.decide(input({ args: { count: '2' } }));
      expect(wrong).toMatchObject({ verdict: 'deny', ruleId: 'arg_schema', aliases: ['PG5', 'F3'] });
      expect(wrong.attributes).toEqual({
        'policy.tool': 'desk:create_ticket',
        'policy.failed_path': '/count',
        'policy.schema_error': 'must be number',
      });
      const { inputSchema: _schema, ...without } = input();
      expect(gate.decide(without).ruleId).toBe('arg_schema');
      expect(gate.decide(input({ inputSchema: { type: 'object', title: 'new' } })).reasons[0]).toContain(
        'not prepared',
      );
      const extra = { type: 'object', properties: { a: {} }, additionalProperties: false };
      await gate.prepare({ inputSchema: extra });
      expect(
        gate.decide(input({ args: { zzz: 1 }, inputSchema: extra })).attributes['policy.failed_path'],
      ).toBe('/zzz');
      // An equal schema in another object is the same schema.
      expect(gate.decide(input({ args: { a: 1 }, inputSchema: { ...extra } })).verdict).toBe('allow');
      const off = createGate(config({ policy: { argSchemaEnforcement: 'off' } }));
      expect(off.decide(without).verdict).toBe('allow');
      const own = createGate(config({ capabilities: [capability({ inputSchema: extra })] }));
      await own.prepare({ inputSchema: extra });
      expect(own.decide({ ...without, args: { a: 1 } }).verdict).toBe('allow');
    },
  );
});

describe('hostile schemas', () => {
  test('are refused in bounded time, with the reason', async () => {
    const twice = (name: string): JsonObject => ({
      allOf: [{ $ref: `#/$defs/${name}` }, { $ref: `#/$defs/${name}` }],
    });
    const bomb: JsonObject = { $defs: { d0: { type: 'string' } }, $ref: '#/$defs/d40' };
    for (let at = 1; at <= 40; at++) (bomb['$defs'] as JsonObject)[`d${at}`] = twice(`d${at - 1}`);
    const many: JsonObject = {};
    for (let at = 0; at < 3000; at++) many[`p${at}`] = { type: 'string' };
    const hostile: [string, JsonObject][] = [
      ['deep', nest(60)],
      ['many', { properties: many }],
      ['remote', { $ref: 'https://evil.test/schema.json' }],
      ['relative', { $ref: 'other.json' }],
      ['anchor', { $ref: '#name', $anchor: 'name' }],
      ['file', { properties: { a: { $ref: 'file:///etc/passwd' } } }],
      ['ring', { $ref: '#' }],
      [
        'ring of two',
        { $defs: { a: { $ref: '#/$defs/b' }, b: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' },
      ],
      ['exponential', bomb],
      ['pattern', { properties: { a: { pattern: '^(a+)+$' } } }],
      ['pattern key', { patternProperties: { '(x|x)*y': {} } }],
      ['pattern under a property named default', { properties: { default: { pattern: '^(a+)+$' } } }],
      ['lookahead', { pattern: '(?=a)b' }],
      ['regex format', { format: 'regex' }],
      ['dynamic', { $dynamicRef: '#x' }],
      ['nested id', { properties: { a: { $id: 'https://x.test/y', type: 'string' } } }],
      ['into data', { default: { pattern: '^(a+)+$' }, $ref: '#/default' }],
      ['dialect', { $schema: 'https://evil.test/meta' }],
      ['malformed', { type: 'strng' }],
      ['reserved key', JSON.parse('{"properties":{"__proto__":{"type":"string"}}}') as JsonObject],
      ['nowhere', { $ref: '#/$defs/none' }],
    ];
    for (const [name, schema] of hostile) expect(await refusal(schema), name).not.toBe('taken');
  });

  test('honest recursion is taken; growing recursion only on shallow data', async () => {
    const tree: JsonObject = {
      $defs: {
        node: {
          type: 'object',
          properties: { left: { $ref: '#/$defs/node' }, right: { $ref: '#/$defs/node' } },
          additionalProperties: false,
        },
      },
      $ref: '#/$defs/node',
    };
    expect((await check(tree, { left: { right: {} } })).ok).toBe(true);
    expect((await check(tree, { left: { right: { x: 1 } } })).ok).toBe(false);
    const branch = { properties: { a: { $ref: '#' } }, required: ['z'] };
    const growing: JsonObject = { anyOf: [branch, { ...branch }, { ...branch }, { type: 'string' }] };
    let deep: JsonValue = 1;
    for (let at = 0; at < 40; at++) deep = { a: deep };
    const began = performance.now();
    expect(await check(growing, deep)).toMatchObject({
      ok: false,
      error: 'is nested too deeply for its recursive schema',
    });
    expect(performance.now() - began).toBeLessThan(500);
    expect((await check(growing, 'text')).ok).toBe(true);
  });

  test('long texts, long lists and deep arguments end soon', async () => {
    const timed = async (schema: JsonObject, args: JsonValue): Promise<boolean> => {
      const prepared = await prepareSchema(schema);
      const began = performance.now();
      const { ok } = checkArgs(prepared, args);
      expect(performance.now() - began, JSON.stringify(schema)).toBeLessThan(1500);
      return ok;
    };
    const long = 'a'.repeat(1_000_000);
    expect(await timed({ pattern: 'a+b' }, long)).toBe(false);
    expect(await timed({ pattern: '^.*a.*b$' }, long)).toBe(false);
    expect(await timed({ pattern: '^[a-z]+$' }, long)).toBe(true);
    expect(
      await timed(
        { uniqueItems: true },
        Array.from({ length: 100_000 }, (_, at) => ({ at })),
      ),
    ).toBe(false);
    const formats = [
      'date-time',
      'time',
      'duration',
      'uri',
      'uri-reference',
      'uri-template',
      'url',
      'email',
      'hostname',
      'ipv4',
      'ipv6',
      'uuid',
      'json-pointer',
      'relative-json-pointer',
      'byte',
      'iso-time',
      'iso-date-time',
    ];
    for (const format of formats) {
      for (const text of [
        long,
        'a.'.repeat(500_000),
        'a@'.repeat(500_000),
        ':'.repeat(1_000_000),
        `http://${'%'.repeat(900_000)}`,
        'P'.concat('1'.repeat(900_000)),
        '{'.repeat(900_000),
      ]) {
        await timed({ format }, text);
      }
    }
  });

  test('unusual schemas are tried in a worker, with a deadline', async () => {
    const wide: JsonObject = {};
    for (let at = 0; at < 800; at++)
      wide[`p${at}`] = { type: 'object', properties: { x: { type: 'string' } } };
    const schema = { type: 'object', properties: wide };
    // The product's second is for one schema on a free machine; here the suites share it.
    const prepared = await prepareSchema(schema, { workerUrl, deadlineMs: 30_000 });
    expect(checkArgs(prepared, { p1: { x: 1 } }).ok).toBe(false);
    expect(checkArgs(prepared, { p1: { x: 'y' } }).ok).toBe(true);
    const late = await prepareSchema(schema, { workerUrl, deadlineMs: 1 });
    expect(late).toMatchObject({ refused: 'compiling it takes too long' });
    const gone = await prepareSchema(schema, { workerUrl: new URL('file:///nowhere.js') });
    expect(gone).toMatchObject({ refused: 'compiling it failed' });
  });

  test('regular expressions: what is linear is taken', async () => {
    const taken = [
      '^[a-z0-9-]+$',
      '^\\d{4}-\\d{2}-\\d{2}$',
      '^[a-z0-9]+(?:-[a-z0-9]+)*$',
      '^(?:red|green)$',
      '^[^@\\s]+@[^@\\s]+$',
      '^https://',
      '^(?:v\\d+)?$',
      '^\\p{L}+$',
      '^#(?:[0-9a-f]{3}){1,2}$',
      '',
      '^$',
    ];
    for (const source of taken) expect(judgeRegex(source), source).toHaveProperty('maxLength');
    const refused = [
      '(a+)+',
      '(a*)*',
      '(a|a)*',
      '(?:a|ab)+c',
      '(a+){2,}',
      '^(?:[a-z]+-?)*$',
      '\\1(a)',
      '(?<x>a)\\k<x>',
      '(?!a)',
      '(?<=a)b',
      '([a-z]+)*@',
      '(a?){30}',
      'a*b*c*d*e*f*g*h*',
      '(',
      'x{5000}',
      '(?:-[a-z-]+)*',
    ];
    for (const source of refused) expect(judgeRegex(source), source).toHaveProperty('refused');
    const ring: JsonObject = {};
    ring['self'] = ring;
    await expect(new SchemaCache().prepare(ring)).resolves.toHaveProperty('refused');
  });
});
