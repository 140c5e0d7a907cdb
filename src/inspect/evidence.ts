// Owns reading evidence out of a store: verification of all chains, and the records of one session or run for export.
import { RuntimeError } from '../base/errors.ts';
import type { Aggregate, ChainKey, Head, Store, StoredRecord } from '../store/contract.ts';
import { readSegment } from './segments.ts';
import type { ClosedSegment } from './segments.ts';
import { Verifier } from './verify.ts';
import type { Verdict } from './verify.ts';

const PAGE = 200;

/** The two reads that a verdict needs: a store has them, and so has a file that is only read. */
export type ChainSource = Pick<Store, 'read' | 'chains'>;

/** The records of a chain, page by page; a record that cannot be read ends the chain with its error. */
export async function* chainRecords(
  store: ChainSource,
  chain: ChainKey,
): AsyncGenerator<StoredRecord, void, undefined> {
  let from = 1;
  for (;;) {
    const page = await store.read(chain, from, PAGE);
    yield* page;
    if (page.length < PAGE) return;
    from = (page.at(-1)?.header.seq ?? 0) + 1; // the first ones may have been removed
  }
}

export async function* allChains(
  store: ChainSource,
  query: { tenant?: string; aggregate?: Aggregate },
): AsyncGenerator<Head, void, undefined> {
  let after: string | undefined;
  do {
    const page = await store.chains({ ...query, limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page.items;
    after = page.nextCursor;
  } while (after !== undefined);
}

async function verifyChain(store: ChainSource, head: Head, verifier: Verifier): Promise<void> {
  let seen = 0;
  try {
    for await (const record of chainRecords(store, head.chain)) {
      verifier.add(record);
      seen = record.header.seq;
    }
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'STORE_CORRUPT') throw error;
    verifier.unreadable(head.chain, seen + 1, 'unreadable');
    return;
  }
  verifier.ended(head);
}

/** What the workspace chains vouch for. One that cannot be read to its end vouches for what came before the damage. */
async function segmentsIn(store: ChainSource, publicKeys: readonly string[]): Promise<ClosedSegment[]> {
  const found: ClosedSegment[] = [];
  for await (const head of allChains(store, { aggregate: 'workspace' })) {
    try {
      for await (const record of chainRecords(store, head.chain)) {
        const segment = readSegment(record, publicKeys);
        if (segment !== undefined) found.push(segment);
      }
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== 'STORE_CORRUPT') throw error;
    }
  }
  return found;
}

/** Judges every chain of a store (V1, V2, V3). */
export async function verifyStore(
  store: ChainSource,
  anchor?: readonly Head[],
  publicKeys: readonly string[] = [],
): Promise<Verdict> {
  const verifier = new Verifier(anchor, await segmentsIn(store, publicKeys));
  for await (const head of allChains(store, {})) await verifyChain(store, head, verifier);
  return verifier.verdict();
}

/** The chains that tell the story of a session: its own and those of its approvals. */
export async function storyOf(store: ChainSource, tenant: string, sessionId: string): Promise<ChainKey[]> {
  const chains: ChainKey[] = [{ tenant, aggregate: 'session', id: sessionId }];
  const seen = new Set<string>();
  for await (const record of chainRecords(store, { tenant, aggregate: 'session', id: sessionId })) {
    const id = record.evidence.state === 'present' ? record.evidence.value.approval_id : undefined;
    if (typeof id === 'string' && !seen.has(id)) {
      seen.add(id);
      chains.push({ tenant, aggregate: 'approval', id });
    }
  }
  return chains;
}
