// Owns the limits of a turn: the tightest of configuration, session and input, against counters of our own.
import { RuntimeError } from '../../base/errors.ts';
import type { TurnLimits } from '../../config/types.ts';
import type { LiveState, SessionFacts } from '../sessions/session.ts';
import type { TurnInput } from './contract.ts';

export type Limits = SessionFacts['limits'];

export function limitsOf(config: TurnLimits): Limits {
  return {
    turns: config.maxTurnsPerSession,
    toolCalls: config.maxToolCallsPerSession,
    inputBytes: config.maxInputBytes,
  };
}

export function tightest(a: Limits, b: Limits): Limits {
  return {
    turns: Math.min(a.turns, b.turns),
    toolCalls: Math.min(a.toolCalls, b.toolCalls),
    inputBytes: Math.min(a.inputBytes, b.inputBytes),
  };
}

/** A caller can tighten a limit and never widen one. */
export function tightened(limits: Limits, asked: TurnInput['limits']): Limits {
  if (asked === undefined) return limits;
  return tightest(limits, {
    turns: asked.max_turns_per_session ?? limits.turns,
    toolCalls: asked.max_tool_calls_per_session ?? limits.toolCalls,
    inputBytes: asked.max_input_bytes ?? limits.inputBytes,
  });
}

function exceeded(limit: string, measured: number, allowed: number, facts: Record<string, number>): never {
  throw new RuntimeError('LIMIT_EXCEEDED', `${limit} is used up: ${measured}, allowed ${allowed}.`, {
    limit,
    measured,
    allowed,
    [limit]: allowed,
    ...facts,
  });
}

/**
 * Throws LIMIT_EXCEEDED with the measured and the allowed value. A session whose last permitted call has just ended may
 * show the model its result once more, without tools; otherwise the result of that call would be lost.
 */
export function assertWithinLimits(
  state: LiveState | undefined,
  limits: Limits,
  turn: { inputBytes: number; toolCalls: number; tellsResult: boolean },
): void {
  const turns = state?.turnCount ?? 0;
  if (turns >= limits.turns) {
    exceeded('max_turns_per_session', turns, limits.turns, { agent_turn_index: turns });
  }
  const { toolCalls: calls } = turn;
  if (calls > limits.toolCalls || (calls === limits.toolCalls && !turn.tellsResult)) {
    exceeded('max_tool_calls_per_session', calls, limits.toolCalls, { agent_tool_call_count: calls });
  }
  if (turn.inputBytes > limits.inputBytes) {
    exceeded('max_input_bytes', turn.inputBytes, limits.inputBytes, { input_bytes: turn.inputBytes });
  }
}
