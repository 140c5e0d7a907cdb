// Owns the one suite that every store engine passes: call it with a factory and what the engine cannot do, with reasons.
import { afterEach, describe } from 'vitest';
import type { Store } from '../../src/store/contract.ts';
import { commitSuite } from './store-suite-commit.ts';
import { holdSuite } from './store-suite-hold.ts';
import { readSuite } from './store-suite-read.ts';

export interface Engine {
  name: string;
  /** A new, empty store. */
  open(): Promise<Store>;
  /** Another store over the same data as the one opened last, as another process would have it. */
  peer(): Promise<Store>;
  /** A path at which nothing exists. */
  freshPath(): string;
  /** Parts of the suite that do not apply, each with the reason. */
  lacks: Partial<Record<'peers' | 'backup', string>>;
}

/** What each part of the suite gets: the engine with every opened store closed after the test. */
export interface Bench extends Engine {
  has(part: keyof Engine['lacks']): boolean;
}

export function storeSuite(engine: Engine): void {
  const opened: Store[] = [];
  const keep = async (opening: Promise<Store>): Promise<Store> => {
    const store = await opening;
    opened.push(store);
    return store;
  };
  const bench: Bench = {
    ...engine,
    open: () => keep(engine.open()),
    peer: () => keep(engine.peer()),
    has: (part) => engine.lacks[part] === undefined,
  };
  describe(`store contract: ${engine.name}`, () => {
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });
    commitSuite(bench);
    readSuite(bench);
    holdSuite(bench);
  });
}
