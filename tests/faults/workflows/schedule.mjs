// Which kill of the workflow suite comes when: named windows in equal shares and the rest at random times, shuffled by
// the seed.
import { shuffled } from '../schedule.mjs';

/** By window: where in it the worker dies, and how many times a new workflow surely comes there. */
const PLACES = {
  node_started: { variants: ['before', 'after'], times: 4 },
  turn_recorded: { variants: ['before', 'after'], times: 4 },
  in_effect: { variants: ['sent', 'half'], times: 3 },
  effect_done: { variants: ['returning', 'before'], times: 3 },
  node_finished: { variants: ['before', 'after'], times: 2 },
  join_ready: { variants: ['before', 'after'], times: 2 },
  timer_due: { variants: ['claimed', 'before', 'after'], times: 1 },
  approval_answered: { variants: ['before', 'after'], times: 1 },
  approval_spent: { variants: ['after'], times: 1 },
  invocation_ended: { variants: ['before', 'after'], times: 3 },
  workflow_ended: { variants: ['before', 'after'], times: 1 },
  queue_moved: { variants: ['before', 'after'], times: 2 },
};

export const WINDOWS = Object.keys(PLACES);

const LEAST_IN_A_WINDOW = 20;
const ENOUGH_FOR_ALL = WINDOWS.length * LEAST_IN_A_WINDOW;
const RANDOM_SHARE = 0.16;
// `direct`: its host resumes it. `left`: its host answers, and leaves times to the worker. `background`: in the queue.
const MODES = ['direct', 'left', 'background'];
const AT_RANDOM = ['opening', 'running', 'recovering'];

// Only a branching workflow has an approval spent; the other one soon has nothing left but to wait for its time.
function shapeFor(window, random) {
  if (window === 'timer_due') return 'undone';
  return window === 'approval_spent' || random.below(3) > 0 ? 'branching' : 'undone';
}

function placed(window, round, random) {
  const { variants, times } = PLACES[window];
  // Only one in the background moves the queue, and needs its timers.
  const needsWorker = window === 'queue_moved' || window === 'timer_due';
  return {
    window,
    variant: variants[round % variants.length],
    nth: 1 + random.below(times),
    shape: shapeFor(window, random),
    mode: needsWorker ? 'background' : random.pick(MODES),
    recovering: random.below(3) === 0,
  };
}

/** One trap for each kill; `window` is 'random' for a kill that the parent makes at some moment. */
export function schedule(kills, random) {
  const atRandom = kills < WINDOWS.length ? 0 : Math.floor(kills * RANDOM_SHARE);
  const inWindows = kills < ENOUGH_FOR_ALL ? kills - atRandom : Math.max(kills - atRandom, ENOUGH_FOR_ALL);
  const plan = Array.from({ length: kills }, (_, index) => {
    if (index < inWindows) {
      const round = Math.floor(index / WINDOWS.length);
      return placed(WINDOWS[index % WINDOWS.length], round, random);
    }
    const variant = AT_RANDOM[(index - inWindows) % AT_RANDOM.length];
    const shape = random.pick(['branching', 'undone']);
    return { window: 'random', variant, shape, mode: random.pick(MODES) };
  });
  return shuffled(plan, random);
}

/** Why the kills that happened do not make a run of `kills`, or undefined. */
export function shortfall(kills, happened, windows) {
  if (happened < kills) return `${happened} kills happened, ${kills} were asked for`;
  const least = kills >= ENOUGH_FOR_ALL ? LEAST_IN_A_WINDOW : kills >= WINDOWS.length * 2 ? 1 : 0;
  const thin = WINDOWS.filter((window) => (windows[window] ?? 0) < least);
  return thin.length === 0 ? undefined : `fewer than ${least} kills in ${thin.join(', ')}`;
}
