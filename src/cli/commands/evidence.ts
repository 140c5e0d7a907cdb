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
import { checkExport } from '../export-check.ts';
import type { ExportFault } from '../export-check.ts';
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
  manifest?: string;
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

/** A fault of one word is its own code. */
function codeOf(fault: string): string {
  return fault.startsWith('line ') ? 'unreadable_line' : fault.replaceAll(' ', '_');
}

function report(source: string, verdict: Verdict, faults: readonly ExportFault[]): JsonObject {
  return {
    ok: verdict.ok && faults.length === 0,
    faults: faults.map(({ code, file }) => ({ code, file })),
    source,
    chains: verdict.chains,
    records: verdict.records,
    erased: verdict.erased,
    removed: verdict.removed,
    completeness: verdict.completeness,
    bad: verdict.bad.map(({ chain, seq, fault }) => ({
      chain: chainName(chain),
      seq,
      code: codeOf(fault),
      fault,
    })),
    missing: verdict.missing.map(({ chain, have, anchored }) => ({
      chain: chainName(chain),
      have,
      anchored,
    })),
  };
}

function reportText(verdict: Verdict, faults: readonly ExportFault[]): string {
  const lines = [
    ...faults.map(({ code, file }) => `BAD      ${code}: ${cell(file, 400)}`),
    ...verdict.bad.map(
      ({ chain, seq, fault }) => `BAD      ${cell(chainName(chain), 400)} record ${seq}: ${cell(fault, 300)}`,
    ),
    ...verdict.missing.map(
      ({ chain, have, anchored }) =>
        `MISSING  ${cell(chainName(chain), 400)}: ends at ${have}, the saved head is ${anchored}`,
    ),
    `${verdict.ok && faults.length === 0 ? 'ok' : 'NOT ok'}: ${verdict.records} records in ${verdict.chains} chains, ${verdict.erased} erased, ${verdict.removed} more removed under signed segments`,
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

interface Judged {
  source: string;
  verdict: Verdict;
  faults: readonly ExportFault[];
}

async function verifyExport(context: Context, path: string, options: VerifyOptions): Promise<Judged> {
  if (options.file !== undefined || options.anchor !== undefined) {
    throw new RuntimeError('USAGE', 'Give --manifest alone: it names its file and its heads itself.');
  }
  const checked = await checkExport(path, await publicKeys(context, options));
  const { evidence, heads, faults } = checked;
  const verdict = evidence === undefined ? new Verifier(heads).verdict() : await verifyFile(evidence, heads);
  return { source: path, verdict, faults };
}

async function judge(context: Context, options: VerifyOptions): Promise<Judged> {
  const { manifest, file } = options;
  if (manifest !== undefined) return verifyExport(context, manifest, options);
  const anchor = options.anchor === undefined ? undefined : await readHeads(options.anchor);
  const verdict =
    file === undefined ? await verifyJournal(context, options, anchor) : await verifyFile(file, anchor);
  return { source: file ?? context.workspace, verdict, faults: [] };
}

export async function verifyEvidence(context: Context, options: VerifyOptions): Promise<Exit> {
  const { source, verdict, faults } = await judge(context, options);
  const isSound = verdict.ok && faults.length === 0;
  const { saveHead } = options;
  if (saveHead !== undefined && isSound) {
    await saveHeads(saveHead, verdict.heads, context);
  }
  await context.print.result(report(source, verdict, faults), () => reportText(verdict, faults));
  if (saveHead !== undefined) {
    context.print.remark(
      isSound ? `Heads saved to ${saveHead}; keep them elsewhere.` : 'No heads were saved.',
    );
  }
  return isSound ? EXIT.ok : EXIT.check;
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
      `Check it: agent-runtime evidence verify --manifest ${cell(options.out, 1000)}/manifest.json`,
    ].join('\n'),
  );
  return EXIT.ok;
}
