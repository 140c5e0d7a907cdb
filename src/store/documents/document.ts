// Owns readable JSON documents: strict on reading, atomic and durable on writing, one writer at a time among all
// processes. A document that cannot be read is reported and kept, never replaced.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Low } from 'lowdb';
import type { Adapter } from 'lowdb';
import type { z } from 'zod';
import { RuntimeError } from '../../base/errors.ts';
import { randomIds } from '../../base/ids.ts';
import type { Ids } from '../../base/ids.ts';
import { isObject } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { parseJson } from '../../base/strict-json.ts';
import { makePrivateDir, syncDir } from '../private-dir.ts';
import { withLock } from './file-lock.ts';

export { safeFileName } from '../file-name.ts';

export interface DocumentOptions<T> {
  path: string;
  /** Closed schema; a field `schema_version` in it tells a newer document from a broken one. */
  schema: z.ZodType<T>;
  /** The content while there is no file. */
  empty: T;
  /** Where lock tokens come from. */
  ids?: Ids;
}

export interface Document<T> {
  /** Throws STORE_CORRUPT or STORE_FUTURE_VERSION naming the file, which is kept. */
  read(): Promise<T>;
  /** Replaces the content by what `change` makes of it; nobody else's change is lost. Returns what was written. */
  update(change: (current: T) => T): Promise<T>;
}

const LIMITS = { maxDepth: 64, maxBytes: 64 * 1024 * 1024 };

/** A newer version is told by its number: its other fields are unknown here, so they are not judged. */
function isNewer(value: JsonValue, error: unknown): boolean {
  if (!isObject(value) || typeof value['schema_version'] !== 'number') return false;
  const issues = error instanceof RuntimeError ? error.details['issues'] : undefined;
  return (
    Array.isArray(issues) && issues.some((issue) => isObject(issue) && issue['field'] === '/schema_version')
  );
}

function corrupt(path: string, error: unknown): RuntimeError {
  const told = error instanceof RuntimeError ? error.message : 'it is not JSON';
  const sentence = `The document ${path} cannot be read: ${told}. It was kept as it is.`;
  return new RuntimeError('STORE_CORRUPT', sentence, { file: path });
}

/** The text of the document at `path`. Throws STORE_CORRUPT or STORE_FUTURE_VERSION naming the file. */
function parseDocument<T>(path: string, schema: z.ZodType<T>, text: string): T {
  let value: JsonValue;
  try {
    value = parseJson(text, LIMITS);
  } catch (error) {
    throw corrupt(path, error);
  }
  try {
    return parseWith(schema, value);
  } catch (error) {
    if (!isNewer(value, error)) throw corrupt(path, error);
    const sentence = `The document ${path} was written by a newer version. It was not changed.`;
    throw new RuntimeError('STORE_FUTURE_VERSION', sentence, { file: path });
  }
}

function storeWords(path: string, error: unknown): unknown {
  const code = isObject(error) ? error['code'] : undefined;
  if (error instanceof RuntimeError || typeof code !== 'string') return error;
  const failure = new RuntimeError('STORE_UNAVAILABLE', `The document ${path} cannot be used: ${code}.`, {
    file: path,
  });
  failure.cause = error;
  return failure;
}

/** Runs `work` on the file at `path`, with the file system's errors in the words of the store. */
export async function inStoreWords<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeWords(path, error);
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** The document at `path` as it stands, or undefined. Throws STORE_CORRUPT or STORE_FUTURE_VERSION naming the file. */
export function readDocument<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  return inStoreWords(path, async () => {
    const text = await readText(path);
    return text === undefined ? undefined : parseDocument(path, schema, text);
  });
}

/** The same for a small one, and for whoever cannot wait. */
export function readDocumentNow<T>(path: string, schema: z.ZodType<T>): T | undefined {
  try {
    return parseDocument(path, schema, readFileSync(path, 'utf8'));
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw storeWords(path, error);
  }
}

function fileAdapter<T>(path: string, schema: z.ZodType<T>): Adapter<T> {
  return {
    async read() {
      return (await readDocument(path, schema)) ?? null;
    },
    async write(data) {
      // What could not be read back must not be written.
      const text = `${JSON.stringify(parseWith(schema, data), null, 2)}\n`;
      // Most processes only read; they do not load the writer.
      const { default: writeFileAtomic } = await import('write-file-atomic');
      // A draft with a name of its own, flushed, renamed over the old file; then the renaming itself is flushed.
      await writeFileAtomic(path, text, { mode: 0o600, fsync: true });
      syncDir(dirname(path));
    },
  };
}

/** A document in a file; the file appears at the first update. */
export function openDocument<T>(options: DocumentOptions<T>): Document<T> {
  const { schema, empty, ids = randomIds } = options;
  const path = resolve(options.path);
  const adapter = fileAdapter(path, schema);
  let last: Promise<unknown> = Promise.resolve();

  async function load(): Promise<Low<T>> {
    const document = new Low<T>(adapter, structuredClone(empty));
    await document.read();
    return document;
  }

  async function change(fn: (current: T) => T): Promise<T> {
    makePrivateDir(dirname(path));
    return withLock(`${path}.lock`, ids, async () => {
      const document = await load();
      document.data = fn(document.data);
      await document.write();
      return document.data;
    });
  }

  function queued<R>(work: () => Promise<R>): Promise<R> {
    // Within this process changes queue here instead of asking for the lock again and again.
    const turn = last.then(() => inStoreWords(path, work));
    last = turn.catch(() => undefined);
    return turn;
  }

  return {
    read: () => inStoreWords(path, async () => (await load()).data),
    update: (fn) => queued(() => change(fn)),
  };
}
