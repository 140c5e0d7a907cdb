// Owns reading evidence out of a store: verification of all chains, and the records of one session or run for export.
import { RuntimeError } from '../base/errors.ts';
import type { Aggregate, ChainKey, Head, Store, StoredRecord } from '../store/contract.ts';
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
  for (let from = 1; ; from += PAGE) {
    const page = await store.read(chain, from, PAGE);
    yield* page;
    if (page.length < PAGE) return;
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
  if (seen < head.seq) verifier.unreadable(head.chain, seen + 1, 'missing');
}

/** Judges every chain of a store (V1, V2). */
export async function verifyStore(store: ChainSource, anchor?: readonly Head[]): Promise<Verdict> {
  const verifier = new Verifier(anchor);
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
