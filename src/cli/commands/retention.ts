// Owns `sessions erase`, `evidence remove` and `evidence key`: what an operator takes out of the journal for good. Without
// --yes each says what it would take, and takes nothing.
import { join } from 'node:path';
import { isoTime } from '../../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { keyIdOf } from '../../inspect/segments.ts';
import { visibleRow } from '../../inspect/visible.ts';
import { endedBefore } from '../../runtime/ended-work.ts';
import { eraseWork, removeWork } from '../../runtime/retention.ts';
import type { RetentionParts, Taken } from '../../runtime/retention.ts';
import type { Store, StoredRow } from '../../store/contract.ts';
import { sessionCopyFiles } from '../../store/documents/session-copies.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { withStore } from '../open-store.ts';
import { cell, textTable } from '../print.ts';
import { signerHere } from '../signer.ts';
import { loadAny } from '../trusted-config.ts';

export interface EraseOptions extends CommonOptions {
  reason?: string;
  yes?: boolean;
}

/** What could not be removed, and why. */
interface Kept {
  id: string;
  code: string;
  message: string;
}

export interface RemoveOptions extends EraseOptions {
  olderThan?: number;
  session?: string;
}

const DAY_MS = 86_400_000;
const LONGEST = 120;

function partsOf({ workspace, clock }: Context, store: Store): RetentionParts {
  return { store, clock, copies: sessionCopyFiles(join(workspace, '.agent-runtime', 'workflow')) };
}

function told(taken: Taken): string {
  return `${taken.records} records in ${taken.chains} chains of ${taken.sessions} sessions`;
}

export async function eraseSession(context: Context, id: string, options: EraseOptions): Promise<Exit> {
  const { reason = 'asked for by an operator', yes = false } = options;
  const { identity } = await loadAny(context);
  const taken = await withStore(context, async (store) => {
    const row = await visibleRow(store, localCaller(identity), 'session', id);
    return yes ? eraseWork(partsOf(context, store), row, reason) : undefined;
  });
  await context.print.result({ session_id: id, erased: taken !== undefined, ...taken }, () =>
    taken === undefined
      ? `Nothing was erased. With --yes everything that was said in ${cell(id)} is erased for good; its records stay.`
      : `Erased ${told(taken)}; the records stay and verify.`,
  );
  return EXIT.ok;
}

async function chosen(context: Context, store: Store, options: RemoveOptions): Promise<StoredRow[]> {
  const { olderThan: days, session } = options;
  if ((days === undefined) === (session === undefined)) {
    throw new RuntimeError('USAGE', 'Give either --older-than DAYS or --session ID.');
  }
  if (Number.isNaN(days)) {
    throw new RuntimeError('USAGE', '--older-than must be a whole number of days, 0 to 999999.');
  }
  const caller = localCaller((await loadAny(context)).identity);
  if (session !== undefined) return [await visibleRow(store, caller, 'session', session)];
  const found: StoredRow[] = [];
  const time = context.clock.now() - (days ?? 0) * DAY_MS;
  for await (const row of endedBefore({ store, clock: context.clock }, caller.tenant, time)) found.push(row);
  return found;
}

export async function removeEvidence(context: Context, options: RemoveOptions): Promise<Exit> {
  const { reason = 'removed by an operator', yes = false } = options;
  const done = await withStore(context, async (store) => {
    const rows = await chosen(context, store, options);
    const items = rows.map(({ id, status, updatedAt }) => ({ id, status, updated_at: isoTime(updatedAt) }));
    const taken: Taken = { sessions: 0, chains: 0, records: 0 };
    const kept: Kept[] = [];
    if (!yes) return { items, taken, kept };
    const signer = signerHere(context);
    for (const row of rows) {
      try {
        const one = await removeWork(partsOf(context, store), row, { signer, reason });
        taken.sessions += one.sessions;
        taken.chains += one.chains;
        taken.records += one.records;
      } catch (thrown) {
        const { code, message } = asRuntimeError(thrown);
        // What one piece of work has is no reason to keep the others.
        if (options.session !== undefined || (code !== 'STORE_CORRUPT' && code !== 'CONFLICT')) throw thrown;
        kept.push({ id: row.id, code, message });
      }
    }
    return { items, taken, kept, keyId: keyIdOf(signer.publicKey) };
  });
  const { items, taken, kept, keyId } = { keyId: undefined, ...done };
  const stays = kept.length === 0 ? {} : { kept };
  const key = keyId === undefined ? {} : { key_id: keyId };
  const report = { removed: yes, items, ...taken, ...stays, ...key };
  await context.print.result(report, async () =>
    yes
      ? `Removed ${told(taken)}, under signed segments. \`evidence verify\` goes on from them.`
      : textTable(
          ['id', 'status', 'last moved'],
          items.map((one) => [one.id, one.status, one.updated_at]),
          LONGEST,
        ),
  );
  if (!yes) {
    context.print.remark(
      'Nothing was removed. With --yes these are, for good; export first what you may need.',
    );
  }
  for (const { id, message } of kept) context.print.remark(`${cell(id)} stays: ${message}`);
  return kept.length === 0 ? EXIT.ok : EXIT.check;
}

export async function evidenceKey(context: Context): Promise<Exit> {
  const { publicKey } = signerHere(context);
  const key = { key_id: keyIdOf(publicKey), public_key: publicKey };
  await context.print.result(key, () => publicKey.trimEnd());
  return EXIT.ok;
}
