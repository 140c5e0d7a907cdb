// A store with governed calls in it, and its chains as exported lines.
import { allChains, chainRecords } from '../../src/inspect/evidence.ts';
import { exportLine, readLine } from '../../src/inspect/export-line.ts';
import { Verifier } from '../../src/inspect/verify.ts';
import type { Verdict } from '../../src/inspect/verify.ts';
import type { ChainKey, Head, Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';

export const CHAIN: ChainKey = { tenant: 'local', aggregate: 'session', id: 'ses_sample' };

export async function sampleStore(records: number): Promise<Store> {
  const ids = createFixedIds('chain');
  const store = createMemoryStore({ keys: memoryTenantKeys(ids), ids });
  for (let at = 0; at < records; at++) {
    await store.commit({
      appends: [
        {
          chain: CHAIN,
          when: { seq: at },
          type: at % 2 === 0 ? 'call_started' : 'call_finished',
          at: 1_700_000_000_000 + at,
          evidence: { call_id: `call_${at}`, tool: 'desk:search_docs', note: 'é\u{1f600}' },
          sealed: { args: { query: `q${at}` } },
        },
      ],
    });
  }
  return store;
}

export async function exported(store: Store): Promise<string[]> {
  const lines: string[] = [];
  for await (const record of chainRecords(store, CHAIN)) lines.push(exportLine(record));
  return lines;
}

export async function headsOf(store: Store): Promise<Head[]> {
  const heads: Head[] = [];
  for await (const head of allChains(store, {})) heads.push(head);
  return heads;
}

/** The verdict over exported lines, as the command gives it. */
export function judge(lines: readonly string[], anchor?: readonly Head[]): Verdict {
  const verifier = new Verifier(anchor);
  lines.forEach((line, index) => {
    const read = readLine(line);
    if (read.ok) verifier.add(read.record);
    else verifier.unreadable(CHAIN, index + 1, read.why);
  });
  return verifier.verdict();
}
