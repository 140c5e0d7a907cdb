// Owns what a turn is for: the session's pinned intent, what the host may narrow it to, and what the model may name.
// I1  An intent is narrower only if it lists no tool that the other does not, and asks a person wherever the other does.
// I2  Where no intents are configured an intent is a label and decides nothing.
import { RuntimeError } from '../../base/errors.ts';
import type { Intent, RuntimeConfig } from '../../config/types.ts';
import type { TurnInput } from './contract.ts';

/** The label of a turn that has no intent. */
export const NO_INTENT = 'default';

export interface TurnIntent {
  /** Decides about tools; undefined: none was ever pinned. */
  session: string | undefined;
  /** What the output says unless the model narrows it. */
  label: string;
  /** What the model may name, the pinned one first. */
  offered: readonly { id: string; description: string }[];
}

/** I1. The effective tools of an intent are both its lists together. */
export function isNarrower(inner: Intent, outer: Intent): boolean {
  const outerAsks = new Set(outer.approvalRequiredTools);
  const outerAll = new Set([...outer.allowTools, ...outer.approvalRequiredTools]);
  const innerAsks = new Set(inner.approvalRequiredTools);
  const innerAll = [...inner.allowTools, ...inner.approvalRequiredTools];
  return innerAll.every((tool) => outerAll.has(tool) && (!outerAsks.has(tool) || innerAsks.has(tool)));
}

function refuse(message: string, details: Record<string, unknown>): never {
  throw new RuntimeError('INVALID_INPUT', `/intent: ${message}`, { field: '/intent', ...details });
}

function configured(config: RuntimeConfig, id: string): Intent | undefined {
  return Object.hasOwn(config.intents, id) ? config.intents[id] : undefined;
}

/** The intent that a new session is pinned to: the host's, else the operator's default. */
export function intentToPin(config: RuntimeConfig, asked: string | undefined): string | undefined {
  const known = Object.keys(config.intents);
  if (known.length === 0) return asked;
  const id = asked ?? config.runtime.gatewayIntent;
  if (id !== undefined && configured(config, id) === undefined) {
    refuse('this intent is not configured', { configured: known });
  }
  return id;
}

function narrowedBy(
  config: RuntimeConfig,
  pinned: string | undefined,
  asked: string | undefined,
): string | undefined {
  if (asked === undefined || asked === pinned) return pinned;
  if (Object.keys(config.intents).length === 0) return asked; // I2
  const outer = pinned === undefined ? undefined : configured(config, pinned);
  const inner = configured(config, asked);
  if (outer === undefined || inner === undefined || !isNarrower(inner, outer)) {
    refuse('a session keeps its intent; a turn may only narrow it', { pinned: pinned ?? null });
  }
  return asked;
}

// Most turns name no intent, and then theirs follows from the configuration and what is pinned; it goes with the former.
const unnamed = new WeakMap<RuntimeConfig, Map<string | undefined, TurnIntent>>();
// Where no intents are configured the host pins any label it likes; beyond this they are made anew.
const MOST_UNNAMED = 64;

/** The intents of one turn. Throws INVALID_INPUT for a host that would widen the pinned one. */
export function turnIntent(config: RuntimeConfig, pinned: string | undefined, input: TurnInput): TurnIntent {
  if (input.intent !== undefined || input.intent_catalog !== undefined) return judged(config, pinned, input);
  const known = unnamed.get(config) ?? new Map<string | undefined, TurnIntent>();
  const found = known.get(pinned);
  if (found !== undefined) return found;
  const made = judged(config, pinned, input);
  if (known.size < MOST_UNNAMED) unnamed.set(config, known.set(pinned, made));
  return made;
}

function judged(config: RuntimeConfig, pinned: string | undefined, input: TurnInput): TurnIntent {
  const session = narrowedBy(config, pinned, input.intent);
  const supplied = input.intent_catalog;
  const isSupplied = (id: string): boolean => supplied?.some((one) => one.id === id) ?? true;
  const own = session === undefined ? undefined : configured(config, session);
  if (own === undefined) {
    const labels = Object.keys(config.intents).length === 0 ? (supplied ?? []) : [];
    return { session, label: session ?? NO_INTENT, offered: pinnedFirst(session, labels) };
  }
  const offered = Object.values(config.intents).filter(
    (intent) => intent.id === own.id || (isSupplied(intent.id) && isNarrower(intent, own)),
  );
  return { session, label: own.id, offered: pinnedFirst(own.id, offered) };
}

function pinnedFirst(
  first: string | undefined,
  all: readonly { id: string; description: string }[],
): { id: string; description: string }[] {
  const plain = all.map(({ id, description }) => ({ id, description }));
  return [...plain.filter((one) => one.id === first), ...plain.filter((one) => one.id !== first)];
}
