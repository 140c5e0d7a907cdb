// Owns the list of damage seen so far, for the store's report. Bounded: a garbled file must not fill the memory.
import type { ChainKey, StoreReport } from './contract.ts';

const MOST = 100;

export interface DamageLog {
  note(what: string, chain?: ChainKey): void;
  list(): StoreReport['damage'];
}

export function createDamageLog(): DamageLog {
  const seen = new Map<string, StoreReport['damage'][number]>();
  return {
    note(what, chain) {
      const key = JSON.stringify([what, chain]);
      if (seen.size < MOST) seen.set(key, chain === undefined ? { what } : { chain, what });
    },
    list: () => [...seen.values()],
  };
}
