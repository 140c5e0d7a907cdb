// The broken promises of a run, each told once.

export function createFindings(log, kinds) {
  const seen = new Set();
  const counts = Object.fromEntries([...kinds, 'other'].map((kind) => [kind, 0]));
  return {
    counts,
    isClean: () => Object.values(counts).every((count) => count === 0),
    add(kind, subject, what) {
      if (seen.has(`${kind} ${subject}`)) return;
      seen.add(`${kind} ${subject}`);
      counts[kind] += 1;
      log(`VIOLATION ${kind}: ${subject}: ${what}`);
    },
  };
}
