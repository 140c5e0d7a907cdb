// Owns the JSON Schema pieces that the tools' schemas are written with. Input schemas come from the zod schema that also
// parses, so that what is advertised is what is checked; output schemas are literals.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';

export const TEXT: JsonObject = { type: 'string' };
export const BOOL: JsonObject = { type: 'boolean' };
export const OPEN: JsonObject = { type: 'object' };

export function list(items: JsonObject): JsonObject {
  return { type: 'array', items };
}

export function oneOf(...values: string[]): JsonObject {
  return { type: 'string', enum: values };
}

/** A closed object; every property is required but those named in `optional`. */
export function closed(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  return {
    type: 'object',
    properties,
    required: Object.keys(properties).filter((key) => !optional.includes(key)),
    additionalProperties: false,
  };
}

export const ERROR_VIEW: JsonObject = closed({
  code: TEXT,
  message: TEXT,
  remedy: TEXT,
  retryable: BOOL,
  details: OPEN,
});

export const DECISION_VIEW: JsonObject = closed(
  {
    decision: oneOf('allow', 'deny', 'approval_required'),
    rule_id: TEXT,
    layer: TEXT,
    reasons: list(TEXT),
    policy_digest: TEXT,
    on_deny: oneOf('end_run'),
  },
  ['on_deny'],
);

/** Clients check structured content of errors too, so every output schema has to have room for one. */
export function orError(schema: JsonObject, failure: JsonObject = closed({ error: ERROR_VIEW })): JsonObject {
  return { type: 'object', anyOf: [schema, failure] };
}

/** Any object; the value has been read as JSON, so it is one of JSON. */
export const jsonObject: z.ZodType<JsonObject> = z.record(
  z.string(),
  z.unknown(),
) as unknown as z.ZodType<JsonObject>;

/** The schema a client is shown for what `schema` parses. */
export function inputSchemaOf(schema: z.ZodType): JsonObject {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest as JsonObject;
}
