// Owns the check of an export as a whole: that its manifest is signed, and that the files it lists lie beside it unchanged.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { parseWith } from '../base/parse.ts';
import { parseJson } from '../base/strict-json.ts';
import { sealFault } from '../inspect/manifest-seal.ts';
import type { SealFault } from '../inspect/manifest-seal.ts';
import type { Head } from '../store/contract.ts';
import { heads } from './heads.ts';

const LIMITS = { maxDepth: 16, maxBytes: 256 * 1024 * 1024 };

export interface ExportFault {
  code: SealFault | 'artifact_outside_root' | 'missing_required_artifact' | 'sha256_mismatch';
  file: string;
}

export interface CheckedExport {
  heads: Head[];
  /** The records, where they are there to be read. */
  evidence?: string;
  faults: ExportFault[];
}

const EVIDENCE = 'evidence.jsonl';
const listed = z.looseObject({
  heads,
  files: z.array(z.looseObject({ name: z.string().min(1), sha256: z.string() })),
});

async function readManifest(path: string): Promise<{ manifest: JsonObject; of: z.infer<typeof listed> }> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new RuntimeError('NOT_FOUND', `There is no manifest at ${path}.`, { file: path });
  });
  try {
    const manifest = parseJson(text, LIMITS);
    return { manifest: isObject(manifest) ? manifest : {}, of: parseWith(listed, manifest) };
  } catch (thrown) {
    const { message, details } = asRuntimeError(thrown);
    throw new RuntimeError('INVALID_INPUT', `${path} is no manifest of an export: ${message}`, {
      ...details,
      file: path,
    });
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function fileFault(
  root: string,
  { name, sha256 }: { name: string; sha256: string },
): Promise<ExportFault['code'] | undefined> {
  // Files lie beside their manifest: a name that leads anywhere else is none of the export's.
  if (basename(name) !== name || name === '.' || name === '..') return 'artifact_outside_root';
  const path = join(root, name);
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return 'missing_required_artifact';
  return (await digestOf(path)) === sha256 ? undefined : 'sha256_mismatch';
}

/** Reads what the manifest says and what lies beside it. Throws NOT_FOUND or INVALID_INPUT for what is no manifest. */
export async function checkExport(path: string, publicKeys: readonly string[]): Promise<CheckedExport> {
  const { manifest, of } = await readManifest(path);
  const root = dirname(resolve(path));
  const faults: ExportFault[] = [];
  const seal = sealFault(manifest, publicKeys);
  if (seal !== undefined) faults.push({ code: seal, file: path });
  for (const file of of.files) {
    const code = await fileFault(root, file);
    if (code !== undefined) faults.push({ code, file: file.name });
  }
  const isListed = of.files.some(({ name }) => name === EVIDENCE);
  if (!isListed) faults.push({ code: 'missing_required_artifact', file: EVIDENCE });
  const isThere = isListed && !faults.some((one) => one.file === EVIDENCE && one.code !== 'sha256_mismatch');
  return { heads: of.heads, faults, ...(isThere ? { evidence: join(root, EVIDENCE) } : {}) };
}
