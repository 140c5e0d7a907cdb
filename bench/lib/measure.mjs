// Owns how a figure is taken: interleaved rounds of the product and its floor, medians, and the line that is printed.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds of each of `count` repetitions, one after the other; `work` gets a number that never repeats. */
export async function timeEach(count, work) {
  const times = [];
  for (let at = 0; at < count; at++) {
    const begun = performance.now();
    await work(at);
    times.push(performance.now() - begun);
  }
  return times;
}

/** Finished works a second with `inFlight` of them open at any time. */
export async function throughput(count, inFlight, work) {
  let next = 0;
  const begun = performance.now();
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (count * 1000) / (performance.now() - begun);
}

/**
 * Runs the variants round by round, each round in the other order, and gives each one's values; the first `warmup`
 * rounds are not among them.
 */
export async function interleave(rounds, warmup, variants) {
  const names = Object.keys(variants);
  const values = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds + warmup; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const value = await variants[name](round);
      if (round >= warmup) values[name].push(value);
    }
  }
  return values;
}

const short = (value) => Number(value.toPrecision(4));

function assertMeasured(name, unit, values, floors) {
  for (const value of [...values, ...floors]) {
    if (!(value > 0 && value < Infinity)) throw new Error(`${name}: a round measured ${value} ${unit}`);
  }
  if (values.length === 0 || values.length !== floors.length) throw new Error(`${name}: rounds are missing`);
}

/** One line of the report; a value that is no time, size or rate means that nothing was measured. The ratio is the median of the rounds' own ratios, so that a slow minute hits both sides. */
export function figure(name, unit, values, floors) {
  assertMeasured(name, unit, values, floors);
  const ratios = values.map((value, round) => value / floors[round]);
  return {
    figure: name,
    value: short(median(values)),
    unit,
    floor: short(median(floors)),
    ratio: short(median(ratios)),
    rounds: values.length,
  };
}

/**
 * What two ways add to their direct ones of the same rounds: `ours` and `floor` are pairs of a way's values and its direct
 * way's. Differences of a round are small beside its noise, so the ratio is that of the medians.
 */
export function added(name, unit, ours, floor) {
  const medianOf = ({ values, direct }) => {
    assertMeasured(name, unit, values, direct);
    return median(values.map((value, round) => value - direct[round]));
  };
  const [value, bare] = [medianOf(ours), medianOf(floor)];
  return {
    figure: name,
    value: short(value),
    unit,
    floor: short(bare),
    ratio: short(value / bare),
    rounds: ours.values.length,
  };
}
