// Every mapping of every file is closed: a key that nobody knows, or that has no effect here, is refused where it stands.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { isObject } from '../../src/base/json.ts';
import { issuePointer } from '../../src/base/parse.ts';
import { jsonSchemas } from '../../src/config/schemas.ts';
import { verifies } from '../e2e/verifies.ts';
import { BUNDLED, refusal } from './fixture.ts';

type Path = (string | number)[];

interface Mapping {
  path: Path;
  /** What the schema says of it; undefined where it is one of several shapes. */
  schema: Record<string, unknown> | undefined;
}

function below(schema: Record<string, unknown> | undefined, key: string | number): Mapping['schema'] {
  if (schema === undefined) return undefined;
  const { properties, additionalProperties, items } = schema;
  const found =
    typeof key === 'number'
      ? items
      : isObject(properties) && Object.hasOwn(properties, key)
        ? properties[key]
        : additionalProperties;
  return isObject(found) ? found : undefined;
}

function mappings(value: unknown, at: Mapping): Mapping[] {
  if (Array.isArray(value)) {
    return value.flatMap((one, index) =>
      mappings(one, { path: [...at.path, index], schema: below(at.schema, index) }),
    );
  }
  if (!isObject(value)) return [];
  const inside = Object.entries(value).flatMap(([key, one]) =>
    mappings(one, { path: [...at.path, key], schema: below(at.schema, key) }),
  );
  return [at, ...inside];
}

function refusedKeys({ schema }: Mapping): string[] {
  const { properties } = schema ?? {};
  return Object.entries(isObject(properties) ? properties : {}).flatMap(([key, one]) =>
    isObject(one) && isObject(one['not']) ? [key] : [],
  );
}

verifies(
  { partial: ['CV-01'] },
  'an unknown key is refused in each mapping of the bundled files, and each key that is known without effect says why',
  async () => {
    const schemas = jsonSchemas();
    const reasons: string[] = [];
    let tried = 0;
    const files = (await readdir(BUNDLED)).filter((name) => name.endsWith('.yaml'));
    for (const file of files) {
      const text = await readFile(join(BUNDLED, file), 'utf8');
      for (const mapping of mappings(parse(text), { path: [], schema: schemas[file] })) {
        for (const key of ['zzzzzzz', ...refusedKeys(mapping)]) {
          const document = parseDocument(text);
          document.setIn([...mapping.path, key], 1);
          const { problems } = await refusal({ [file]: String(document) });
          const path = issuePointer([...mapping.path, key]);
          const messages = problems
            .filter((one) => one.file === file && one.path === path)
            .map(({ message }) => message);
          expect(messages, `${file} ${path}`).toHaveLength(1);
          tried++;
          if (key !== 'zzzzzzz') {
            expect(messages[0]).not.toMatch(/^unknown key|^does not fit/);
            reasons.push(messages[0] ?? '');
          }
        }
      }
    }
    expect(tried).toBeGreaterThan(100);
    expect(new Set(reasons).size).toBeGreaterThan(15);
  },
  60_000,
);
