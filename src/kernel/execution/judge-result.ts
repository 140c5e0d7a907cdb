// Owns what an execution means: the call's status, its side effect, and how its idempotency key is settled. Pure.
import type { ErrorCode } from '../../base/errors.ts';
import type { ToolOutcome } from '../call.ts';
import type { Policy } from '../../config/types.ts';
import type { Attempt, Outcome } from '../evidence/records.ts';
import type { Attempted } from './attempts.ts';
import type { SideEffect } from './executor.ts';
import type { ReservationState } from './idempotency.ts';

interface Common {
  outcome: Outcome;
  sideEffect: SideEffect;
  reservation: ReservationState;
}

interface Failure {
  code: ErrorCode;
  message: string;
}

export type Judged =
  | (Common & { status: 'done'; result: ToolOutcome; error?: undefined })
  | (Common & { status: 'tool_error'; result: ToolOutcome; error?: Failure })
  | (Common & { status: 'unknown' | 'canceled' | 'expired'; result?: undefined; error: Failure });

/** What failed without an effect may be tried again, but for these. */
const BY_CODE: Partial<Record<ErrorCode, Outcome>> = {
  INVALID_INPUT: 'validation_failure',
  SPEC_TAMPERED: 'permission_denied',
  SUBPROCESS_SANDBOX_UNAVAILABLE: 'permission_denied',
};

function outcomeOf(code: ErrorCode): Outcome {
  return BY_CODE[code] ?? 'retryable_failure';
}

/** A read has no side effect to be unsure of; a write that may have left is `unknown` (never success, never repeated). */
export function judgeResult(
  tried: Attempted,
  { mode, idempotent }: { mode: 'read' | 'write'; idempotent: boolean },
): Judged {
  const { result } = tried;
  const applied: SideEffect = mode === 'write' ? 'applied' : 'not_executed';
  if (result.kind === 'result') {
    const outcome: ToolOutcome = {
      content: result.content,
      ...(result.structured === undefined ? {} : { structured: result.structured }),
      replayed: false,
    };
    return result.isError
      ? {
          status: 'tool_error',
          outcome: mode === 'write' ? 'partial_side_effect' : 'retryable_failure',
          // The tool says that it failed; whether it had begun to act it does not say.
          sideEffect: mode === 'write' ? 'partial_side_effect' : 'not_executed',
          // A key that is given free would run the half that was done a second time.
          reservation: mode === 'write' && !idempotent ? 'side_effect_unknown' : 'retryable_failure',
          result: outcome,
        }
      : {
          status: 'done',
          outcome: 'success',
          sideEffect: applied,
          reservation: 'succeeded',
          result: outcome,
        };
  }
  const error: Failure = { code: result.code, message: result.message };
  if (result.sideEffect === 'side_effect_unknown' && mode === 'write') {
    return {
      status: 'unknown',
      outcome: 'side_effect_unknown',
      sideEffect: 'side_effect_unknown',
      reservation: 'side_effect_unknown',
      error,
    };
  }
  if (result.code === 'CANCELED' || result.code === 'CAPABILITY_SESSION_EXPIRED') {
    return {
      status: result.code === 'CANCELED' ? 'canceled' : 'expired',
      outcome: 'retryable_failure',
      sideEffect: 'not_executed',
      reservation: 'retryable_failure',
      error,
    };
  }
  return {
    status: 'tool_error',
    outcome: outcomeOf(result.code),
    sideEffect: 'not_executed',
    reservation: 'retryable_failure',
    result: { content: [{ type: 'text', text: result.message }], replayed: false },
    error,
  };
}

/** Whether a call that certainly failed for good ends its run. One of unknown effect holds it up instead. */
export function endOf(
  { onFailure }: Pick<Policy, 'onFailure'>,
  { status }: Judged,
  attempts: readonly Attempt[],
): { endsRun?: true } {
  if (onFailure === undefined || status !== 'tool_error') return {};
  const isExhausted = attempts.at(-1)?.outcome === 'exhausted';
  const consequence = onFailure[isExhausted ? 'retry_exhaustion' : 'catalogued_unhandled'];
  return consequence === 'end_run' ? { endsRun: true } : {};
}
