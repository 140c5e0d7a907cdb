// Owns what an example promises: each promise is compared, said, and kept for the line of the result.
import { isDeepStrictEqual } from 'node:util';

export function createChecks(say) {
  const list = [];
  const note = (one) => {
    list.push(one);
    say(`${one.ok ? 'ok  ' : 'FAIL'} ${one.check}${one.why === undefined ? '' : `: ${one.why}`}`);
  };
  return {
    list,
    /** A promise in words, and what must be equal for it to be kept. */
    check(promise, actual, expected) {
      const ok = isDeepStrictEqual(actual, expected);
      const why = `${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;
      note({ check: promise, ok, ...(ok ? {} : { why }) });
    },
    fail(why) {
      note({ check: 'it runs to its end', ok: false, why });
    },
    /** Nothing promised is nothing kept. */
    areKept: () => list.length > 0 && list.every(({ ok }) => ok),
  };
}
