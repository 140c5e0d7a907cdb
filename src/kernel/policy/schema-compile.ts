// Owns the one configuration of ajv: no coercion, no defaults, own properties only, no network, no log, and regular
// expressions that look at no longer text than they can take. Loaded when the first schema is prepared.
import type { AnySchemaObject, ErrorObject } from 'ajv';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { judgeRegex } from './linear-regex.ts';

export interface ArgFault {
  path: string;
  error: string;
}
export type CompiledSchema = (args: JsonValue) => ArgFault | undefined;

const DRAFT_7 = /^https?:\/\/json-schema\.org\/draft-0[4567]\/schema#?$/;
const DRAFT_2020 = /^https?:\/\/json-schema\.org\/draft\/20(?:19-09|20-12)\/schema#?$/;

/** Without what names the document: two tools may carry the same `$id`. */
function withoutNames(schema: JsonObject): JsonObject {
  const { $id: _id, $schema: _schema, id: _oldId, ...rest } = schema;
  return rest;
}

interface BoundedRegex {
  (pattern: string, flags: string): Bounded;
  code: string;
}

interface Bounded {
  test: (text: string) => boolean;
  /** ajv keeps compiled patterns by this text: two patterns with one text would be one. */
  toString: () => string;
}

function createRegex(pattern: string, flags: string): Bounded {
  const verdict = judgeRegex(pattern);
  const regex = new RegExp(pattern, flags);
  return {
    test(text) {
      const limit = 'maxLength' in verdict ? verdict.maxLength : 0;
      if (text.length > limit) {
        throw new RuntimeError(
          'INVALID_INPUT',
          `a text is longer than the ${limit} characters its pattern may see`,
        );
      }
      return regex.test(text);
    },
    toString: () => String(regex),
  };
}
const boundedRegex: BoundedRegex = Object.assign(createRegex, { code: 'boundedRegex' });

function faultOf(errors: readonly ErrorObject[] | null | undefined): ArgFault {
  const first = errors?.[0];
  const named = first?.params as { additionalProperty?: unknown; missingProperty?: unknown } | undefined;
  const extra = named?.additionalProperty ?? named?.missingProperty;
  const path = first?.instancePath ?? '';
  return {
    path:
      typeof extra === 'string'
        ? `${path}/${extra.replaceAll('~', '~0').replaceAll('/', '~1')}`
        : path || '/',
    error: first?.message ?? 'does not fit the schema',
  };
}

/** Compiles a vetted schema; throws INVALID_INPUT with the reason when ajv does not take it. */
export async function compileSchema(schema: JsonObject): Promise<CompiledSchema> {
  const dialect = schema['$schema'];
  const isDraft7 = typeof dialect === 'string' && DRAFT_7.test(dialect);
  if (dialect !== undefined && !isDraft7 && !(typeof dialect === 'string' && DRAFT_2020.test(dialect))) {
    throw new RuntimeError('INVALID_INPUT', 'its `$schema` names no dialect that is supported');
  }
  const [{ Ajv }, { Ajv2020 }, formats] = await Promise.all([
    import('ajv'),
    import('ajv/dist/2020.js'),
    import('ajv-formats'),
  ]);
  const options = {
    strict: false,
    coerceTypes: false,
    useDefaults: false,
    ownProperties: true,
    allErrors: false,
    logger: false,
    inlineRefs: false,
    code: { regExp: boundedRegex },
  } as const;
  const ajv = isDraft7 ? new Ajv(options) : new Ajv2020(options);
  formats.default.default(ajv);
  let validate: ReturnType<typeof ajv.compile>;
  try {
    validate = ajv.compile(withoutNames(schema) as AnySchemaObject);
  } catch (error) {
    const { message } = error as Error;
    throw new RuntimeError('INVALID_INPUT', `it does not compile: ${message.slice(0, 200)}`);
  }
  if ('$async' in validate) throw new RuntimeError('INVALID_INPUT', 'it is asynchronous');
  return (args) => (validate(args) ? undefined : faultOf(validate.errors));
}
