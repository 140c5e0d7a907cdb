// Owns the reading of chains: one chain in order, and the list of all of them. A writing store and a reader share it.
import type { Store } from '../contract.ts';
import { checkLimit, checkPart, decodeOrdinal, LARGEST_SCAN, makePage } from '../cursor.ts';
import type { Tables } from './tables.ts';

export type ChainReads = Pick<Store, 'read' | 'chains'>;

export function chainReads(
  tables: Pick<Tables, 'chains' | 'records'>,
  ask: <T>(doing: string, read: () => T | Promise<T>) => Promise<T>,
): ChainReads {
  return {
    read: (chain, from = 1, limit) =>
      ask(`read ${chain.aggregate} ${chain.id}`, () => {
        checkPart(from, limit);
        return tables.records.read(chain, from, limit ?? Number.MAX_SAFE_INTEGER);
      }),
    chains: (query) =>
      ask('chains', () => {
        checkLimit(query.limit, LARGEST_SCAN);
        const { after, limit, ...filter } = query;
        const found = tables.chains.page({ ...filter, after: decodeOrdinal(after), limit: limit + 1 });
        const page = makePage(found, limit, (last) => String(last.handle));
        return { ...page, items: page.items.map(({ chain, seq, hash }) => ({ chain, seq, hash })) };
      }),
  };
}
