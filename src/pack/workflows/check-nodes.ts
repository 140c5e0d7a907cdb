// Owns what is wrong with single nodes beyond their shape: wake times, a session that is not theirs to name, and intents
// and model profiles that the configuration at hand does not have.
import type { RuntimeConfig } from '../../config/types.ts';
import type { PathPart } from '../../config/problems.ts';
import { didYouMean } from '../../base/suggest.ts';
import type { TurnInput } from '../turn/contract.ts';
import type { PlacedNode } from './check-graph.ts';
import type { Report } from './definition.ts';
import { parseWakeTime } from './wake-time.ts';

/** What the configuration has; without intents an intent is a label and may be any. */
export interface KnownNames {
  intents: readonly string[];
  profiles: readonly string[];
}

export function knownNames({ intents, models }: Pick<RuntimeConfig, 'intents' | 'models'>): KnownNames {
  return { intents: Object.keys(intents), profiles: Object.keys(models.profiles) };
}

function checkNames(known: KnownNames, input: TurnInput, path: readonly PathPart[], report: Report): void {
  const { intent, model_profile: profile } = input;
  if (intent !== undefined && known.intents.length > 0 && !known.intents.includes(intent)) {
    report([...path, 'intent'], `is not an intent of runtime.yaml${didYouMean(intent, known.intents)}`);
  }
  if (profile !== undefined && !known.profiles.includes(profile)) {
    const guess = didYouMean(profile, known.profiles);
    report([...path, 'model_profile'], `is not a model profile of runtime.yaml${guess}`);
  }
}

export function checkNodes(nodes: readonly PlacedNode[], report: Report, known?: KnownNames): void {
  for (const { node, at } of nodes) {
    if (node.wake_at !== undefined) {
      const wake = parseWakeTime(node.wake_at);
      if (!wake.ok) report(['nodes', at, 'wake_at'], wake.why);
    }
    const inputs = [
      { input: node.execute_turn_input, path: ['nodes', at, 'execute_turn_input'] },
      { input: node.compensate?.execute_turn_input, path: ['nodes', at, 'compensate', 'execute_turn_input'] },
    ];
    for (const { input, path } of inputs) {
      if (input !== undefined && known !== undefined) checkNames(known, input, path, report);
      if (input?.session_id === undefined) continue;
      report(
        [...path, 'session_id'],
        'must be left out: the workflow gives each run of a node its own session',
      );
    }
  }
}
