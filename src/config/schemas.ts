// Owns the JSON Schemas that editors read: one per configuration file, generated, committed in configs/schema.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../base/json.ts';
import { CONFIG_FILES } from './parts.ts';

/** By file name, such as `policy.yaml`. */
export function jsonSchemas(): Record<string, JsonObject> {
  return Object.fromEntries(Object.values(CONFIG_FILES).map((file) => [file.name, file.jsonSchema()]));
}

/** `policy.schema.json` for `policy.yaml`. */
export function schemaFileName(configFile: string): string {
  return configFile.replace(/\.yaml$/, '.schema.json');
}

/** The committed bytes of a schema. */
export function schemaText(schema: JsonObject): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** Writes every schema into the directory; the names of the files written. */
export async function writeSchemas(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const names: string[] = [];
  for (const [file, schema] of Object.entries(jsonSchemas())) {
    const name = schemaFileName(file);
    await writeFile(join(directory, name), schemaText(schema));
    names.push(name);
  }
  return names;
}
