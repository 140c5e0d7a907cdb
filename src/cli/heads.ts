// Owns the file of chain heads: what was true at one time, kept elsewhere, against which a cut journal is found out.
import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { isoTime } from '../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { parseWith } from '../base/parse.ts';
import { parseJson } from '../base/strict-json.ts';
import type { Head } from '../store/contract.ts';
import type { Context } from './context.ts';

const LIMITS = { maxDepth: 16, maxBytes: 256 * 1024 * 1024 };

/** As a saved file and a manifest list them. */
export const heads: z.ZodType<Head[]> = z.array(
  z.strictObject({
    chain: z.strictObject({
      tenant: z.string().min(1),
      aggregate: z.enum(['session', 'approval', 'capability_session', 'instance', 'principal', 'workspace']),
      id: z.string().min(1),
    }),
    seq: z.int().positive(),
    hash: z.string().regex(/^[0-9a-f]{64}$/),
  }),
);

// A manifest says more than heads.
const saved = z.looseObject({ heads });

/** The `heads` of a saved file or of the manifest of an export. Throws NOT_FOUND or INVALID_INPUT. */
export async function readHeads(path: string): Promise<Head[]> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new RuntimeError('NOT_FOUND', `There is no file of heads at ${path}.`, { file: path });
  });
  try {
    return parseWith(saved, parseJson(text, LIMITS)).heads;
  } catch (thrown) {
    const { message, details } = asRuntimeError(thrown);
    const said = `${path} holds no heads as they were saved: ${message}`;
    throw new RuntimeError('INVALID_INPUT', said, { ...details, file: path });
  }
}

/** The heads that were saved there before stay until the new ones are whole: they may be all that shows a cut. */
export async function saveHeads(
  path: string,
  found: readonly Head[],
  { clock, ids }: Pick<Context, 'clock' | 'ids'>,
): Promise<void> {
  const at = clock.now();
  const text = `${JSON.stringify({ version: 1, saved_at: isoTime(at), heads: found }, null, 2)}\n`;
  const there = await stat(path).catch(() => undefined);
  // A pipe or a device takes what it is given.
  if (there !== undefined && !there.isFile()) {
    await writeFile(path, text);
    return;
  }
  const target = there === undefined ? path : await realpath(path);
  const draft = `${target}.partial-${Buffer.from(ids.bytes(6)).toString('hex')}`;
  try {
    await writeFile(draft, text, { mode: (there?.mode ?? 0o600) & 0o777, flag: 'wx', flush: true });
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}
