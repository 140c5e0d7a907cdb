// Owns "did you mean": the nearest known word to a mistyped one.

const MOST_EDITS = 2;

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The closest of `known` within two edits, or the only one that begins with the word. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 100) return undefined;
  let best: string | undefined;
  let least = Math.min(MOST_EDITS, Math.ceil(word.length / 3)) + 1;
  const begun: string[] = [];
  for (const candidate of known) {
    if (word.length > 2 && candidate.startsWith(`${word}_`)) begun.push(candidate);
    const distance =
      Math.abs(candidate.length - word.length) > MOST_EDITS ? MOST_EDITS + 1 : edits(word, candidate);
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best ?? (begun.length === 1 ? begun[0] : undefined);
}

/** `; did you mean "x"?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}
