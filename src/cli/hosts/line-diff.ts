// Owns the difference of two texts by lines, for a person to read: what goes, what comes, and where.

const MOST_CELLS = 4_000_000;

function linesOf(text: string): string[] {
  if (text === '') return [];
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** Lengths of the longest common rest, from each pair of places on. */
function commonRests(before: readonly string[], after: readonly string[]): Uint32Array {
  const width = after.length + 1;
  const cells = new Uint32Array((before.length + 1) * width);
  for (let a = before.length - 1; a >= 0; a--) {
    for (let b = after.length - 1; b >= 0; b--) {
      const here = a * width + b;
      cells[here] =
        before[a] === after[b]
          ? (cells[here + width + 1] ?? 0) + 1
          : Math.max(cells[here + width] ?? 0, cells[here + 1] ?? 0);
    }
  }
  return cells;
}

function changes(before: readonly string[], after: readonly string[], firstLine: number): string[] {
  if (before.length * after.length > MOST_CELLS) {
    return [`@@ line ${firstLine} @@`, ...before.map((one) => `- ${one}`), ...after.map((one) => `+ ${one}`)];
  }
  const rests = commonRests(before, after);
  const width = after.length + 1;
  const told: string[] = [];
  let isEqual = true;
  const tell = (line: string, at: number): void => {
    if (isEqual) told.push(`@@ line ${firstLine + at} @@`);
    isEqual = false;
    told.push(line);
  };
  let a = 0;
  let b = 0;
  while (a < before.length || b < after.length) {
    if (a < before.length && b < after.length && before[a] === after[b]) {
      isEqual = true;
      a++;
      b++;
    } else if (
      b >= after.length ||
      (a < before.length && (rests[(a + 1) * width + b] ?? 0) >= (rests[a * width + b + 1] ?? 0))
    ) {
      tell(`- ${before[a++] ?? ''}`, b);
    } else {
      tell(`+ ${after[b] ?? ''}`, b);
      b++;
    }
  }
  return told;
}

/** Lines beginning with `-` go, with `+` come; lines are numbered as they will be. */
export function lineDiff(before: string, after: string): string[] {
  const from = linesOf(before);
  const to = linesOf(after);
  let head = 0;
  while (head < Math.min(from.length, to.length) && from[head] === to[head]) head++;
  let tail = 0;
  while (
    tail < Math.min(from.length, to.length) - head &&
    from[from.length - 1 - tail] === to[to.length - 1 - tail]
  ) {
    tail++;
  }
  return changes(from.slice(head, from.length - tail), to.slice(head, to.length - tail), head + 1);
}
