// Which kill comes when: six named windows in equal shares and the rest at random times, shuffled by the seed.

export const WINDOWS = [
  'before_start_receipt',
  'start_written',
  'in_effect',
  'effect_done',
  'outcome_written',
  'approval_spent',
];

const LEAST_IN_A_WINDOW = 20;
const ENOUGH_FOR_ALL = WINDOWS.length * LEAST_IN_A_WINDOW;

const VARIANTS = {
  in_effect: ['watched', 'sent', 'half'],
  effect_done: ['returning', 'recording'],
  random: ['opening', 'burst', 'recovering'],
};

/** A small seeded source of numbers in [0, 1). */
export function createRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { next, below, pick: (list) => list[below(list.length)] };
}

function toolsFor(window) {
  if (window === 'approval_spent') return ['pay'];
  return window === 'start_written' ? ['note', 'ticket', 'look'] : ['note', 'ticket', 'pay', 'look'];
}

/** `{ window, variant, tool }`, one a kill; `window` is 'random' for a kill that the parent makes at some moment. */
export function schedule(kills, random) {
  const spare = kills >= ENOUGH_FOR_ALL ? kills - ENOUGH_FOR_ALL : kills;
  const atRandom = Math.min(Math.floor(kills * 0.16), spare);
  const plan = Array.from({ length: kills }, (_, index) => {
    const window = index < atRandom ? 'random' : WINDOWS[(index - atRandom) % WINDOWS.length];
    const round = index < atRandom ? index : Math.floor((index - atRandom) / WINDOWS.length);
    const variants = VARIANTS[window];
    const tools = toolsFor(window);
    return { window, variant: variants?.[round % variants.length], tool: tools[round % tools.length] };
  });
  return shuffled(plan, random);
}

/** The list itself, in another order. */
export function shuffled(list, random) {
  for (let last = list.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [list[last], list[other]] = [list[other], list[last]];
  }
  return list;
}

/** Why the kills that happened do not make a run of `kills`, or undefined. */
export function shortfall(kills, happened, windows) {
  if (happened < kills) return `${happened} kills happened, ${kills} were asked for`;
  if (kills < ENOUGH_FOR_ALL) return undefined;
  const thin = WINDOWS.filter((window) => windows[window] < LEAST_IN_A_WINDOW);
  return thin.length === 0 ? undefined : `fewer than ${LEAST_IN_A_WINDOW} kills in ${thin.join(', ')}`;
}
