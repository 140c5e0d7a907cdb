// Owns `evidence verify` and `evidence export`. Verifying needs neither keys nor configuration.
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { readLine } from '../../inspect/export-line.ts';
import { verifyStore } from '../../inspect/evidence.ts';
import { keyIdOf } from '../../inspect/segments.ts';
import { chainName, Verifier } from '../../inspect/verify.ts';
import type { Verdict } from '../../inspect/verify.ts';
import type { ChainKey, Head } from '../../store/contract.ts';
import { readLines } from '../calls/lines.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { exportStory } from '../export.ts';
import { readHeads, saveHeads } from '../heads.ts';
import { readJournal, withStore } from '../open-store.ts';
import { cell } from '../print.ts';
import { signingPublicKey } from '../../store/signing-key.ts';
import { loadAny } from '../trusted-config.ts';

export interface VerifyOptions extends CommonOptions {
  anchor?: string;
  saveHead?: string;
  file?: string;
  publicKey?: string;
}

// One record with its evidence; a larger line is none of ours.
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NO_CHAIN: ChainKey = { tenant: '(unknown)', aggregate: 'session', id: '(unknown)' };

async function verifyFile(path: string, anchor: readonly Head[] | undefined): Promise<Verdict> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) {
    throw new RuntimeError('NOT_FOUND', `There is no export at ${path}.`, { file: path });
  }
  const verifier = new Verifier(anchor);
  let at: { chain: ChainKey; seq: number } = { chain: NO_CHAIN, seq: 0 };
  let number = 0;
  for await (const line of readLines(createReadStream(path), MAX_LINE_BYTES)) {
    number += 1;
    const read = line.ok ? readLine(line.text) : line;
    if (read.ok) {
      verifier.add(read.record);
      at = { chain: read.record.header.chain, seq: read.record.header.seq };
    } else {
      // A line that cannot be read belongs where it stands: after the record before it.
      verifier.unreadable(at.chain, at.seq + 1, `line ${number}: ${read.why}`);
    }
  }
  return verifier.verdict();
}

function report(source: string, verdict: Verdict): JsonObject {
  return {
    ok: verdict.ok,
    source,
    chains: verdict.chains,
    records: verdict.records,
    erased: verdict.erased,
    removed: verdict.removed,
    completeness: verdict.completeness,
    bad: verdict.bad.map(({ chain, seq, fault }) => ({ chain: chainName(chain), seq, fault })),
    missing: verdict.missing.map(({ chain, have, anchored }) => ({
      chain: chainName(chain),
      have,
      anchored,
    })),
  };
}

function reportText(verdict: Verdict): string {
  const lines = [
    ...verdict.bad.map(
      ({ chain, seq, fault }) => `BAD      ${cell(chainName(chain), 400)} record ${seq}: ${cell(fault, 300)}`,
    ),
    ...verdict.missing.map(
      ({ chain, have, anchored }) =>
        `MISSING  ${cell(chainName(chain), 400)}: ends at ${have}, the saved head is ${anchored}`,
    ),
    `${verdict.ok ? 'ok' : 'NOT ok'}: ${verdict.records} records in ${verdict.chains} chains, ${verdict.erased} erased, ${verdict.removed} more removed under signed segments`,
    `completeness: ${verdict.completeness}${verdict.completeness === 'unknown' ? ' (give --anchor with a saved head to see whether the end is missing)' : ''}`,
  ];
  return lines.join('\n');
}

/** Whoever brings the key need not be able to look at ours. */
function ownKey(stateDirectory: string, isGiven: boolean): string | undefined {
  try {
    return signingPublicKey(stateDirectory);
  } catch (thrown) {
    if (isGiven) return undefined;
    throw thrown;
  }
}

/** Segments count that this state directory signed, or the key that is given. */
async function publicKeys(
  { stateDirectory }: Context,
  { publicKey: path }: VerifyOptions,
): Promise<string[]> {
  const own = ownKey(stateDirectory, path !== undefined);
  if (path === undefined) return own === undefined ? [] : [own];
  const given = await readFile(path, 'utf8').catch(() => {
    throw new RuntimeError('NOT_FOUND', `There is no public key at ${path}.`, { file: path });
  });
  try {
    keyIdOf(given);
  } catch {
    throw new RuntimeError('INVALID_INPUT', `${path} holds no public key as PEM.`, { file: path });
  }
  return own === undefined ? [given] : [own, given];
}

async function verifyJournal(
  context: Context,
  options: VerifyOptions,
  anchor: readonly Head[] | undefined,
): Promise<Verdict> {
  const keys = await publicKeys(context, options);
  return readJournal(context, (chains) => verifyStore(chains, anchor, keys));
}

export async function verifyEvidence(context: Context, options: VerifyOptions): Promise<Exit> {
  const anchor = options.anchor === undefined ? undefined : await readHeads(options.anchor);
  const verdict =
    options.file === undefined
      ? await verifyJournal(context, options, anchor)
      : await verifyFile(options.file, anchor);
  const { saveHead } = options;
  if (saveHead !== undefined && verdict.ok) {
    await saveHeads(saveHead, verdict.heads, context);
  }
  const told = report(options.file ?? context.workspace, verdict);
  await context.print.result(told, () => reportText(verdict));
  if (saveHead !== undefined) {
    context.print.remark(
      verdict.ok ? `Heads saved to ${saveHead}; keep them elsewhere.` : 'No heads were saved.',
    );
  }
  return verdict.ok ? EXIT.ok : EXIT.check;
}

export interface ExportOptions extends CommonOptions {
  session?: string;
  run?: string;
  out: string;
}

export async function exportEvidence(context: Context, options: ExportOptions): Promise<Exit> {
  const { session, run } = options;
  if ((session === undefined) === (run === undefined)) {
    throw new RuntimeError('USAGE', 'Give either --session ID or --run ID.');
  }
  const config = await loadAny(context);
  const of =
    session !== undefined
      ? { kind: 'session' as const, id: session }
      : { kind: 'run' as const, id: run ?? '' };
  const manifest = await withStore(context, (store) =>
    exportStory(context, { store, config }, of, options.out),
  );
  await context.print.result(manifest, () =>
    [
      `Exported ${cell(manifest.records)} records to ${cell(options.out, 1000)}`,
      `Check it: agent-runtime evidence verify --file ${cell(options.out, 1000)}/evidence.jsonl --anchor ${cell(options.out, 1000)}/manifest.json`,
    ].join('\n'),
  );
  return EXIT.ok;
}
