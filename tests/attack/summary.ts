// Owns a whole attack: mutations, races in one process and races between two, one closing line, and what went wrong.
import { runBinding } from './run-binding.ts';
import { runProcessRaces } from './run-process-races.ts';
import { runRaces, type RaceRun } from './run-races.ts';

export interface AttackCounts {
  seed: number;
  mutations: number;
  races: number;
  processRaces: number;
}

export interface AttackSummary {
  line: Record<string, unknown>;
  /** What is wrong with the run; empty for a good one. */
  wrong: string[];
}

/** Needs no second process, and no build. */
const NO_RACES: RaceRun = { races: 0, kinds: {}, effects: 0, approvals: 0, violations: [] };

function raceLine({ races, kinds, effects, approvals, violations }: RaceRun): Record<string, unknown> {
  return { races, kinds, effects, approvals, violations: violations.length };
}

/** A run in which little happened proves nothing: more than half of the races have to end in an effect. */
function idle(run: RaceRun, asked: number): string[] {
  if (run.races !== asked) return [`${run.races} of ${asked} races`];
  return run.effects * 2 < run.races ? [`${run.races} races made only ${run.effects} effects`] : [];
}

export async function attackSummary(asked: AttackCounts): Promise<AttackSummary> {
  const { seed, mutations, races, processRaces } = asked;
  const binding = await runBinding({ seed, mutations });
  const here = await runRaces({ seed, races });
  const between = processRaces === 0 ? NO_RACES : await runProcessRaces(processRaces);
  const wrong = [...binding.escaped, ...here.violations, ...between.violations];
  wrong.push(...idle(here, races), ...idle(between, processRaces));
  if (binding.mutations !== mutations) wrong.push(`${binding.mutations} of ${mutations} mutations`);
  // The approved call itself runs after each batch of mutations.
  const control = Math.ceil(mutations / 100);
  if (binding.control !== control) wrong.push(`${binding.control} of ${control} approved calls ran`);
  if (mutations + races + processRaces < 1) wrong.push('nothing was tried');
  const line = {
    suite: 'attack',
    seed,
    mutations: binding.mutations,
    fields: binding.fields,
    escaped: binding.escaped.length,
    approved_calls_run: binding.control,
    races: raceLine(here),
    process_races: raceLine(between),
    wrong: wrong.length,
  };
  return { line, wrong };
}
