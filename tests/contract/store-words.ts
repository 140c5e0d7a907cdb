// Owns the words in which the store suite speaks: chains, appends and rows with harmless defaults.
import type { Append, ChainKey, Row, Store, StoredRecord } from '../../src/store/contract.ts';
import { checkChain } from '../../src/store/chain.ts';
import type { ChainVerdict } from '../../src/store/chain.ts';

export const AT = 1_795_000_000_000;

export function session(id: string, tenant = 'acme'): ChainKey {
  return { tenant, aggregate: 'session', id };
}

export function append(chain: ChainKey, over: Partial<Append> = {}): Append {
  return { chain, when: { epoch: 0 }, type: 'call_started', at: AT, evidence: { n: 1 }, ...over };
}

export function row(id: string, over: Partial<Row> = {}): Row {
  return {
    kind: 'request',
    tenant: 'acme',
    id,
    principal: 'ann',
    status: 'open',
    updatedAt: AT,
    body: { id },
    ...over,
  };
}

export async function verdict(store: Store, chain: ChainKey): Promise<ChainVerdict> {
  return checkChain(chain, await store.read(chain));
}

export function numbers(records: StoredRecord[]): unknown[] {
  return records.map(({ evidence }) => (evidence.state === 'present' ? evidence.value['n'] : evidence.state));
}

export async function addMany(store: Store, chain: ChainKey, count: number): Promise<void> {
  const appends = Array.from({ length: count }, (_, index) => append(chain, { evidence: { n: index + 1 } }));
  await store.commit({ appends });
}
