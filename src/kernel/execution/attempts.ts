// Owns how often an admitted call is tried: once, unless its failure certainly did nothing or its capability is declared
// idempotent; then with growing, bounded, repeatable waits. Every try is reported.
import { startDeadline } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import { sha256 } from '../../base/digest.ts';
import { ERRORS } from '../../base/errors.ts';
import type { Policy } from '../../config/types.ts';
import type { Attempt } from '../evidence/records.ts';
import type { CallIo, Execution, ExecutionResult, Executor } from './executor.ts';

export interface Attempted {
  result: ExecutionResult;
  attempts: Attempt[];
}

function isTransient(result: ExecutionResult, idempotent: boolean): boolean {
  return (
    result.kind === 'failed' &&
    ERRORS[result.code].retryable &&
    (result.sideEffect === 'not_executed' || idempotent)
  );
}

/** min(base·2^(n-1), cap), ±20 % from a digest of seed and attempt, so that a replay waits the same. */
export function backoffMs(rule: Policy['retry'], seed: string, attempt: number): number {
  const plain = Math.min(rule.backoffBaseMs * 2 ** (attempt - 1), rule.backoffCapMs);
  const draw = Number.parseInt(sha256(`${seed}:${attempt}`).slice(0, 8), 16) / 0xffffffff;
  return Math.round(plain * (0.8 + 0.4 * draw));
}

// How long an executor may take to say how far it came.
const GRACE_MS = 2000;

function canceled(note: string): ExecutionResult {
  const { sentence } = ERRORS.CANCELED;
  return { kind: 'failed', code: 'CANCELED', message: sentence, sideEffect: 'not_executed', notes: [note] };
}

const GIVEN_UP: ExecutionResult = {
  kind: 'failed',
  code: 'CANCELED',
  message: ERRORS.CANCELED.sentence,
  sideEffect: 'side_effect_unknown',
  notes: ['the executor did not end when it was told to'],
};

/** An executor that hears its signal says how far it came; one that does not is not waited for, and nobody knows. */
function givenUp(clock: Clock, signal: AbortSignal): { result: Promise<ExecutionResult>; done: () => void } {
  let done = (): void => undefined;
  const result = new Promise<ExecutionResult>((resolve) => {
    const wait = (): void => {
      done = clock.after(GRACE_MS, () => {
        resolve(GIVEN_UP);
      });
    };
    signal.addEventListener('abort', wait, { once: true });
  });
  return {
    result,
    done: () => {
      done();
    },
  };
}

async function runOnce(
  executor: Executor,
  execution: Execution,
  io: CallIo,
  { clock, until }: { clock: Clock; until: number },
): Promise<ExecutionResult> {
  if (io.signal.aborted) return canceled('canceled before it was sent');
  // The deadline is of the whole call, and absolute: neither progress nor another try moves it.
  const deadline = startDeadline(clock, Math.max(0, until - clock.monotonic()), io.signal);
  const silent = givenUp(clock, deadline.signal);
  try {
    const running = executor.execute(execution, { progress: io.progress, signal: deadline.signal });
    const result = await Promise.race([running, silent.result]);
    if (deadline.timedOut() && result.kind === 'failed') {
      return { ...result, code: 'TOOL_TIMEOUT', message: ERRORS.TOOL_TIMEOUT.sentence };
    }
    return result;
  } catch {
    // An executor must not throw; if one does, nobody knows how far it came.
    return {
      kind: 'failed',
      code: 'TOOL_EXECUTION_FAILED',
      message: ERRORS.TOOL_EXECUTION_FAILED.sentence,
      sideEffect: 'side_effect_unknown',
      notes: ['executor threw'],
    };
  } finally {
    deadline.done();
    silent.done();
  }
}

type Timing = Pick<Attempt, 'attempt' | 'started_at' | 'duration_ms'>;

function recordOf(result: ExecutionResult, timing: Timing, transient: boolean, backoff: number): Attempt {
  if (result.kind === 'result')
    return { ...timing, outcome: result.isError ? 'failed' : 'success', backoff_ms: 0 };
  return {
    ...timing,
    outcome: transient ? 'transient_failure' : 'failed',
    backoff_ms: backoff,
    error_class: result.code,
    error_message: result.message,
  };
}

/** Runs the call, retrying only what is safe to retry. Never throws. */
export async function attempt(
  executor: Executor,
  execution: Execution,
  io: CallIo,
  rules: { retry: Policy['retry']; clock: Clock },
): Promise<Attempted> {
  const attempts: Attempt[] = [];
  const between = { tries: false };
  const { clock } = rules;
  const until = clock.monotonic() + execution.capability.timeoutSeconds * 1000;
  const { idempotent } = execution.capability.idempotency;
  const tryOnce = async (): Promise<ExecutionResult> => {
    between.tries = false;
    // A canceled wait has been answered already; what the library starts after it must not reach the tool.
    if (attempts.length > 0 && io.signal.aborted) return canceled('canceled while waiting to retry');
    const number = attempts.length + 1;
    const begun = { wall: clock.now(), monotonic: clock.monotonic() };
    const result = await runOnce(executor, execution, io, { clock, until });
    const duration = Math.round((clock.monotonic() - begun.monotonic) * 1000) / 1000;
    const timing = { attempt: number, started_at: begun.wall, duration_ms: duration };
    const transient = isTransient(result, idempotent) && clock.monotonic() < until;
    const backoff =
      transient && number <= rules.retry.maxRetries ? backoffMs(rules.retry, execution.callId, number) : 0;
    attempts.push(recordOf(result, timing, transient, backoff));
    between.tries = backoff > 0;
    return result;
  };
  const first = await tryOnce();
  const again = (result: unknown): boolean =>
    isTransient(result as ExecutionResult, idempotent) && !io.signal.aborted && clock.monotonic() < until;
  const result = rules.retry.maxRetries > 0 && again(first) ? await tryOn(first, tryOnce) : first;
  const last = attempts.at(-1);
  if (last?.outcome === 'transient_failure') last.outcome = 'exhausted';
  return { result, attempts };

  async function tryOn(
    failed: ExecutionResult,
    next: () => Promise<ExecutionResult>,
  ): Promise<ExecutionResult> {
    // Most calls never get here, so most processes never load it.
    const { DelegateBackoff, handleWhenResult, retry } = await import('cockatiel');
    const policy = retry(handleWhenResult(again), {
      maxAttempts: rules.retry.maxRetries,
      backoff: new DelegateBackoff((context) => backoffMs(rules.retry, execution.callId, context.attempt)),
    });
    let had: ExecutionResult | undefined = failed;
    const run = policy.execute(() => {
      const first = had;
      had = undefined;
      return first ?? next();
    }, io.signal);
    // The library's wait does not end with the signal, so the caller's cancel is raced against it between tries.
    const cut = canceledBetween(io.signal, between);
    const result = await Promise.race([run, cut.result]);
    cut.done();
    return result;
  }
}

function canceledBetween(
  signal: AbortSignal,
  between: { tries: boolean },
): { result: Promise<ExecutionResult>; done: () => void } {
  let onAbort = (): void => undefined;
  const result = new Promise<ExecutionResult>((resolve) => {
    onAbort = () => {
      // While a try runs it hears the signal itself and says how far it came; only a wait is cut here.
      if (between.tries) resolve(canceled('canceled while waiting to retry'));
    };
  });
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    result,
    done: () => {
      signal.removeEventListener('abort', onAbort);
    },
  };
}
