// Owns how a server over HTTP tells a token that counts here from one that does not.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import { createTokenIndex } from '../server/index.ts';
import type { TokenIndex, TokenVerifier } from '../server/index.ts';
import type { KnownTokens } from './known-tokens.ts';

/** Throws STORE_CORRUPT when the tokens cannot be read. */
export function tokenVerifier(known: KnownTokens, { clock, ids }: { clock: Clock; ids: Ids }): TokenVerifier {
  const key = ids.bytes(32);
  const indexOf = (): TokenIndex => createTokenIndex(listed, key, () => clock.now());
  let listed = known.list();
  let index = indexOf();
  return {
    async refresh() {
      const now = known.list();
      if (now === listed) return;
      listed = now;
      index = indexOf();
    },
    verify: (token) => index.find(token),
    holds: (id) => index.holds(id),
    any: () => index.size > 0,
  };
}
