// Owns how a used-up limit is told: the same aliases and policy.* attributes whether a rule found it before deciding,
// a model call was refused for it, or a counter refused the commit because others were faster.
import type { JsonObject } from '../../base/json.ts';
import type { Budget } from '../../config/types.ts';
import type { Layer, Usage } from './decision.ts';

export type LimitOwner = Extract<Layer, 'session' | 'principal' | 'tenant'>;

export type LimitKind = 'iterations' | 'tokens' | 'calls' | 'cost' | 'effects' | 'wall';

/** Where use and limit of a kind stand, and how the attributes spell its measure. */
export interface LimitMeasure {
  kind: LimitKind;
  of: keyof Usage;
  max: keyof Budget;
  name: string;
}

export const LIMIT_KINDS: readonly LimitMeasure[] = [
  { kind: 'iterations', of: 'iterations', max: 'maxIterations', name: 'iterations' },
  { kind: 'tokens', of: 'tokens', max: 'maxTokens', name: 'tokens' },
  { kind: 'calls', of: 'calls', max: 'maxCalls', name: 'calls' },
  { kind: 'cost', of: 'costUsd', max: 'maxCostUsd', name: 'cost_usd' },
  { kind: 'effects', of: 'effects', max: 'maxEffects', name: 'effects' },
  { kind: 'wall', of: 'wallSeconds', max: 'maxWallSeconds', name: 'wall_seconds' },
];

export interface LimitFacts {
  aliases: string[];
  attributes: JsonObject;
}

/** JSON has no NaN: a number that is none is written out. */
function plain(value: unknown): number | string {
  return typeof value === 'number' && Number.isFinite(value) ? value : String(value);
}

export function limitFacts(
  owner: LimitOwner,
  kind: LimitKind,
  { used, max }: { used: unknown; max: unknown },
): LimitFacts {
  const name = LIMIT_KINDS.find((one) => one.kind === kind)?.name ?? kind;
  return {
    aliases: ['PG3', `budget:${owner}:${kind}`],
    attributes: {
      'policy.limit_kind': kind,
      'policy.limit_layer': owner,
      [`policy.${name}`]: plain(used),
      [`policy.max_${name}`]: plain(max ?? null),
    },
  };
}

export function cycleFacts(repeats: unknown, maxRepeats: unknown): LimitFacts {
  return {
    aliases: ['F4'],
    attributes: { 'policy.repeats': plain(repeats), 'policy.max_repeats': plain(maxRepeats) },
  };
}
