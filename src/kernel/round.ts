// Owns the answer of one round through the door: a result, or that something relied on has changed and all is decided anew.
import type { CallFacts, CallResult } from './call.ts';
import type { Decision } from './policy/decision.ts';

export type Round = { kind: 'answer'; result: CallResult } | { kind: 'again' };

export function again(): Round {
  return { kind: 'again' };
}

export function answer(result: CallResult): Round {
  return { kind: 'answer', result };
}

/** The facts of a call that did not run. */
export function nothingRan(decision: Decision, callId: string): CallFacts {
  return { callId, decision, receiptIds: [], sideEffect: 'not_executed' };
}
