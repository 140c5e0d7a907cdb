// Owns what a configuration file is to the loader: its name, its schema, and how its content becomes typed.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import type { Problems } from '../problems.ts';
import { fit } from '../shape.ts';

export interface ParsedFile<T> {
  /** The file's content with every default filled in, in the file's own words. */
  tree: JsonObject;
  part: T;
}

export interface ConfigFile<T> {
  /** `policy.yaml` */
  readonly name: string;
  /** A directory without this file is refused. */
  readonly required: boolean;
  parse(value: unknown, problems: Problems): ParsedFile<T> | undefined;
  jsonSchema(): JsonObject;
}

/** Joins a schema with the function that turns what it accepts into the typed part. */
export function defineFile<S extends z.ZodType, T>(
  name: string,
  required: boolean,
  schema: S,
  build: (raw: z.output<S>) => T,
): ConfigFile<T> {
  return {
    name,
    required,
    parse(value, problems) {
      const before = problems.count;
      const raw = fit<unknown>(name, schema, value, problems);
      if (problems.count > before) return undefined;
      return { tree: raw as JsonObject, part: build(raw as z.output<S>) };
    },
    jsonSchema() {
      const made = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }) as JsonObject;
      const { $schema, ...rest } = made;
      return { $schema: $schema ?? '', title: name, ...rest };
    },
  };
}
