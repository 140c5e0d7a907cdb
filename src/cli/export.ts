// Owns an export on disk: the records of one session's story and a manifest that says what they are, both or neither.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isoTime } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { chainRecords } from '../inspect/evidence.ts';
import { exportLine } from '../inspect/export-line.ts';
import { sealManifest } from '../inspect/manifest-seal.ts';
import { placeOfRun } from '../inspect/run-place.ts';
import type { InspectParts } from '../inspect/run-place.ts';
import { visibleRow } from '../inspect/visible.ts';
import type { Caller } from '../kernel/identity.ts';
import { chainsOf } from '../runtime/made-rows.ts';
import type { ChainKey, Head, Store } from '../store/contract.ts';
import type { Context } from './context.ts';
import { localCaller } from './identity.ts';
import { signerHere } from './signer.ts';
import { version } from './version.ts';

const EVIDENCE = 'evidence.jsonl';
const MANIFEST = 'manifest.json';

interface Written {
  heads: Head[];
  records: number;
  erased: number;
  bytes: number;
  sha256: string;
}

/** Whole chains up to the head that each has now, line by line; memory stays small. */
async function writeChains(store: Store, chains: readonly ChainKey[], path: string): Promise<Written> {
  const hash = createHash('sha256');
  const written: Written = { heads: [], records: 0, erased: 0, bytes: 0, sha256: '' };
  async function* lines(): AsyncGenerator<string, void, undefined> {
    for (const chain of chains) {
      let head: Head | undefined;
      for await (const record of chainRecords(store, chain)) {
        const line = `${exportLine(record)}\n`;
        hash.update(line);
        written.records += 1;
        written.bytes += Buffer.byteLength(line);
        if (record.evidenceBytes === undefined) written.erased += 1;
        head = { chain, seq: record.header.seq, hash: record.hash };
        yield line;
      }
      if (head !== undefined) written.heads.push(head);
    }
  }
  // A disk that is full while records are read must not end the process, as an error that nobody listens to would.
  await pipeline(lines, createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true }));
  return { ...written, sha256: hash.digest('hex') };
}

/** Whether the folder is there; then it is empty. */
async function isThere(out: string): Promise<boolean> {
  const there = await readdir(out).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RuntimeError('USAGE', `${out} cannot be used as a folder for the export.`, { out });
  });
  if (there !== undefined && there.length > 0) {
    throw new RuntimeError('USAGE', `${out} is not empty; nothing there is overwritten.`, { out });
  }
  return there !== undefined;
}

/** A folder that is there stays the one it is: it may be a link, a mount, or where somebody works. */
async function fill(target: string, draft: string): Promise<void> {
  const placed: string[] = [];
  try {
    // The manifest last: with it the export is whole.
    for (const name of [EVIDENCE, MANIFEST]) {
      await rename(join(draft, name), join(target, name));
      placed.push(join(target, name));
    }
  } catch (thrown) {
    for (const path of placed) await rm(path, { force: true });
    throw thrown;
  }
}

export interface Story {
  kind: 'session' | 'run';
  id: string;
}

/** Throws NOT_FOUND for what the caller may not see. */
async function sessionOf(parts: InspectParts, caller: Caller, { kind, id }: Story): Promise<string> {
  if (kind === 'run') {
    const { session } = await placeOfRun(parts, caller, id);
    if (session !== '') return session;
    const text = `The run ${id} was refused before there was a session of it: nothing of it can be exported.`;
    throw new RuntimeError('NOT_FOUND', text, { id });
  }
  return (await visibleRow(parts.store, caller, kind, id)).id;
}

function nothingLeft({ kind, id }: Story): RuntimeError {
  const text = `The records of the ${kind} ${id} were removed; nothing of them is left to export.`;
  return new RuntimeError('CONFLICT', text, { id });
}

/**
 * Writes `evidence.jsonl` and `manifest.json` into `out`, which must be new or empty. A run is told with its whole session,
 * because only whole chains can be checked. Throws NOT_FOUND for what the person here may not see.
 */
export async function exportStory(
  context: Context,
  from: { store: Store; config: RuntimeConfig },
  of: Story,
  out: string,
): Promise<JsonObject> {
  const { store, config } = from;
  const caller = localCaller(config.identity);
  const session = await sessionOf({ store, now: context.clock.now() }, caller, of);
  const target = resolve(out);
  const fills = await isThere(target);
  const suffix = `.partial-${Buffer.from(context.ids.bytes(6)).toString('hex')}`;
  const draft = fills ? join(target, suffix) : `${target}${suffix}`;
  await mkdir(dirname(target), { recursive: true });
  await mkdir(draft, { mode: 0o700 });
  try {
    const chains = await chainsOf(store, caller.tenant, session);
    const written = await writeChains(store, chains, join(draft, EVIDENCE));
    if (written.records === 0) throw nothingLeft(of);
    const told: JsonObject = {
      version: 1,
      product: `agent-runtime-pack ${version()}`,
      exported_at: isoTime(context.clock.now()),
      tenant_id: caller.tenant,
      session_id: session,
      ...(of.kind === 'run' ? { run_id: of.id } : {}),
      policy_digest: config.policy.digest,
      config_digest: config.digest,
      chains: written.heads.length,
      records: written.records,
      erased: written.erased,
      heads: written.heads.map(({ chain, seq, hash }) => ({ chain: { ...chain }, seq, hash })),
      files: [{ name: EVIDENCE, bytes: written.bytes, sha256: written.sha256 }],
    };
    const manifest = sealManifest(told, signerHere(context));
    await writeFile(join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
    await (fills ? fill(target, draft) : rename(draft, target));
    return manifest;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
