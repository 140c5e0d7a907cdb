// Owns when a request to a provider is made again and after what wait: only while nothing of an answer has come, at
// most as often as the profile says, never beyond the deadline, and ended at once when the signal ends.
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';

export interface RetryOptions {
  clock: Clock;
  /** In [0, 1); spreads the waits of many callers. */
  random: () => number;
  maxRetries: number;
  /** Milliseconds until the call ends, from now. */
  timeLeft: () => number;
  signal: AbortSignal;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

function isTransient(error: RuntimeError): boolean {
  if (error.code === 'PROVIDER_RATE_LIMITED' || error.code === 'PROVIDER_TRANSPORT_ERROR') return true;
  return error.code === 'PROVIDER_HTTP_ERROR' && Number(error.details['response_status']) >= 500;
}

/** Half of the exponential step is certain, half is drawn; what the provider asks for is kept to. */
function waitAfter(error: RuntimeError, made: number, random: () => number): number {
  const asked = error.details['retry_after_ms'];
  if (typeof asked === 'number') return asked;
  const step = Math.min(FIRST_WAIT_MS * 2 ** (made - 1), LONGEST_WAIT_MS);
  return step / 2 + (step / 2) * random();
}

/** Resolves after `ms`, or rejects as soon as the signal ends. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** `attempt` says itself, by `canRepeat`, whether its failure left the answer untouched. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  canRepeat: () => boolean,
  options: RetryOptions,
): Promise<T> {
  const { retry, handleWhen, ConstantBackoff } = await import('cockatiel');
  let made = 0;
  let wait = 0;
  const isWorthIt = (error: Error): boolean => {
    if (!(error instanceof RuntimeError) || !isTransient(error) || !canRepeat()) return false;
    if (options.signal.aborted) return false;
    wait = waitAfter(error, made, options.random);
    return wait < options.timeLeft();
  };
  // The wait is ours: the library sleeps on its own timer, and a signal does not cut that sleep.
  const policy = retry(handleWhen(isWorthIt), {
    maxAttempts: options.maxRetries,
    backoff: new ConstantBackoff(0),
  });
  return policy.execute(async () => {
    if (made > 0) await pause(options.clock, wait, options.signal);
    made += 1;
    return attempt();
  });
}
