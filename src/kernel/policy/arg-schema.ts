// Owns the checking of arguments against a tool's own JSON Schema: prepared once per definition, then synchronous and
// total. A schema that cannot be judged safely refuses its tool, never the server.
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { digestJson } from '../../base/digest.ts';
import { canonicalJson, checkJson } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { showCut } from '../../base/text.ts';
import { compileSchema } from './schema-compile.ts';
import type { CompiledSchema } from './schema-compile.ts';
import { SCHEMA_LIMITS, vetSchema } from './schema-graph.ts';
import type { SchemaFacts } from './schema-graph.ts';

export type PreparedSchema =
  { digest: string; refused: string } | { digest: string; facts: SchemaFacts; validate: CompiledSchema };

export type ArgCheck = { ok: true } | { ok: false; path: string; error: string };

export interface SchemaOptions {
  clock?: Clock;
  /** Where the built schema-worker lies; tests that run the sources name the one in dist. */
  workerUrl?: URL;
  deadlineMs?: number;
}

// Below this a compilation takes a few milliseconds; above it a worker tries first.
const SIMPLE_SUBSCHEMAS = 300;
const DEADLINE_MS = 1000;
/** Validations one call may cost: some 100 ms. */
const MAX_STEPS = 20_000_000;
const CHEAP_PATHS = 500;
const MAX_PAIRED_ITEMS = 2000;

function tryInWorker(schema: JsonObject, options: SchemaOptions): Promise<string | undefined> {
  const clock = options.clock ?? systemClock;
  const url = options.workerUrl ?? new URL('./schema-worker.js', import.meta.url);
  return new Promise((settle) => {
    const worker = new Worker(url, {
      workerData: schema,
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    const end = (refused: string | undefined): void => {
      cancel();
      settle(refused);
      void worker.terminate();
    };
    const cancel = clock.after(options.deadlineMs ?? DEADLINE_MS, () => {
      end('compiling it takes too long');
    });
    worker.on('message', (said: { ok?: unknown; reason?: unknown }) => {
      end(said.ok === true ? undefined : String(said.reason).slice(0, 200));
    });
    worker.on('error', () => {
      end('compiling it failed');
    });
    worker.on('exit', () => {
      end('compiling it ended early');
    });
  });
}

/** Never rejects: what cannot be prepared is `refused`, with the reason. */
export async function prepareSchema(
  schema: JsonObject,
  options: SchemaOptions = {},
): Promise<PreparedSchema> {
  let digest = '';
  try {
    const limits = { maxDepth: SCHEMA_LIMITS.maxDepth * 2 + 2, maxBytes: SCHEMA_LIMITS.maxBytes };
    // A copy: whoever holds the definition cannot change what is judged, and nothing in it is shared.
    const checked = JSON.parse(canonicalJson(checkJson(schema, limits))) as JsonObject;
    digest = digestJson(checked);
    const facts = vetSchema(checked);
    if ('refused' in facts) return { digest, refused: facts.refused };
    if (facts.subschemas > SIMPLE_SUBSCHEMAS) {
      const refused = await tryInWorker(checked, options);
      if (refused !== undefined) return { digest, refused };
    }
    return { digest, facts, validate: await compileSchema(checked) };
  } catch (error) {
    return { digest, refused: showCut((error as Error).message, 200) };
  }
}

interface Size {
  values: number;
  depth: number;
  longestList: number;
}

function sizeOf(args: JsonValue): Size {
  const size: Size = { values: 0, depth: 0, longestList: 0 };
  const stack: { value: JsonValue; depth: number }[] = [{ value: args, depth: 1 }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { value, depth } = item;
    size.values += 1;
    if (typeof value !== 'object' || value === null) continue;
    size.depth = Math.max(size.depth, depth);
    if (Array.isArray(value)) size.longestList = Math.max(size.longestList, value.length);
    for (const child of Object.values(value)) stack.push({ value: child, depth: depth + 1 });
  }
  return size;
}

function tooCostly(facts: SchemaFacts, args: JsonValue): string | undefined {
  const { growth, paths, comparesPairs } = facts;
  if (growth <= 1 && paths <= CHEAP_PATHS && !comparesPairs) return undefined;
  const { values, depth, longestList } = sizeOf(args);
  if (growth ** (depth + 1) * paths > MAX_STEPS) return 'is nested too deeply for its recursive schema';
  if (paths * values > MAX_STEPS) return 'has too many values for its schema';
  if (comparesPairs && longestList > MAX_PAIRED_ITEMS) return 'has a list too long to look for equal items';
  return undefined;
}

/** Total: whatever goes wrong is a fault. */
export function checkArgs(prepared: PreparedSchema, args: JsonValue): ArgCheck {
  try {
    if ('refused' in prepared)
      return { ok: false, path: '/', error: `the schema is refused: ${prepared.refused}` };
    const costly = tooCostly(prepared.facts, args);
    if (costly !== undefined) return { ok: false, path: '/', error: costly };
    const fault = prepared.validate(args);
    return fault === undefined ? { ok: true } : { ok: false, ...fault };
  } catch (error) {
    return { ok: false, path: '/', error: showCut((error as Error).message, 200) };
  }
}

const MAX_PREPARED = 2000;

/**
 * Prepared schemas, the least recently prepared forgotten first. Looking one up is synchronous. A schema object must not
 * be changed after it was prepared.
 */
export class SchemaCache {
  readonly #options: SchemaOptions;
  readonly #byDigest = new Map<string, Promise<PreparedSchema>>();
  readonly #ready = new Map<string, PreparedSchema>();
  // The same object is the common case; digests are only computed for objects not seen before.
  readonly #byObject = new WeakMap<JsonObject, { prepared: PreparedSchema }>();

  constructor(options: SchemaOptions = {}) {
    this.#options = options;
  }

  async prepare(schema: JsonObject): Promise<PreparedSchema> {
    const known = this.#byObject.get(schema);
    if (known !== undefined) return known.prepared;
    let digest: string;
    try {
      digest = digestJson(schema);
    } catch {
      const prepared: PreparedSchema = { digest: '', refused: 'it is no JSON value' };
      this.#byObject.set(schema, { prepared });
      return prepared;
    }
    const pending = this.#byDigest.get(digest) ?? prepareSchema(schema, this.#options);
    this.#byDigest.delete(digest);
    this.#byDigest.set(digest, pending);
    const oldest = this.#byDigest.size > MAX_PREPARED ? this.#byDigest.keys().next().value : undefined;
    if (oldest !== undefined) {
      this.#byDigest.delete(oldest);
      this.#ready.delete(oldest);
    }
    const prepared = await pending;
    if (this.#byDigest.has(digest)) this.#ready.set(digest, prepared);
    this.#byObject.set(schema, { prepared });
    return prepared;
  }

  /** undefined: not prepared. */
  find(schema: JsonObject): PreparedSchema | undefined {
    const known = this.#byObject.get(schema);
    if (known !== undefined) return known.prepared;
    const prepared = this.#ready.get(digestJson(schema));
    if (prepared !== undefined) this.#byObject.set(schema, { prepared });
    return prepared;
  }
}
