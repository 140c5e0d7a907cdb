// Owns how often an admitted call is tried: once, unless its failure certainly did nothing or its capability is declared
// idempotent; then with growing, bounded, repeatable waits. Every try is reported.
import { startDeadline } from '../../base/abort.ts';
import type { Deadline } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import { sha256 } from '../../base/digest.ts';
import { ERRORS } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
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

interface Rules {
  retry: Policy['retry'];
  clock: Clock;
}

/** The call's own: until when it may run. What it waits for a person moves that. */
interface Time extends Rules {
  until: number;
}

// How long an executor may take to say how far it came.
const GRACE_MS = 2000;

function canceled(note: string): Failed {
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

async function runOnce(
  executor: Executor,
  execution: Execution,
  io: CallIo,
  at: Time,
): Promise<ExecutionResult> {
  const { clock } = at;
  const caller = io.ending ?? io.signal;
  if (caller.aborted) return canceled('canceled before it was sent');
  // The deadline is of the whole call, and absolute: neither progress nor another try moves it.
  let giveUp = (): void => undefined;
  let stopWaiting = (): void => undefined;
  const deadline = startDeadline(clock, Math.max(0, at.until - clock.monotonic()), caller, () => {
    stopWaiting = clock.after(GRACE_MS, () => {
      giveUp();
    });
  });
  try {
    // An executor that hears its signal says how far it came; one that does not is not waited for, and nobody knows.
    const result = await new Promise<ExecutionResult>((resolve, reject) => {
      giveUp = () => {
        resolve(GIVEN_UP);
      };
      const running = executor.execute(execution, heldWhileAsking(io, deadline, at));
      Promise.resolve(running).then(resolve, reject);
    });
    if (deadline.timedOut() && result.kind === 'failed') {
      return { ...result, code: 'TOOL_TIMEOUT', message: ERRORS.TOOL_TIMEOUT.sentence };
    }
    return result;
  } catch (thrown) {
    // An executor must not throw; if one does, nobody knows how far it came. What it throws when it is told to end is no fault.
    const code = interruptOf(deadline, caller) ?? 'TOOL_EXECUTION_FAILED';
    return {
      kind: 'failed',
      code,
      message: ERRORS[code].sentence,
      sideEffect: 'side_effect_unknown',
      notes: ['executor threw'],
      exceptionClass: classOf(thrown),
    };
  } finally {
    deadline.done();
    stopWaiting();
  }
}

function interruptOf(deadline: Deadline, caller: { readonly aborted: boolean }): ErrorCode | undefined {
  if (deadline.timedOut()) return 'TOOL_TIMEOUT';
  return caller.aborted ? 'CANCELED' : undefined;
}

/** A name that can hold nothing but a name. */
function classOf(thrown: unknown): string {
  const name = thrown instanceof Error ? thrown.name : typeof thrown;
  return /^\w{1,64}$/.test(name) ? name : 'Error';
}

type Held = { -readonly [Name in keyof CallIo]: CallIo[Name] };

/** Down with the try; while a person is asked neither the try's clock nor the call's runs. */
function heldWhileAsking(io: CallIo, deadline: Deadline, at: Time): CallIo {
  const { progress, log, ask } = io;
  const held: Held = {
    progress,
    deadline,
    get signal() {
      return deadline.signal;
    },
  };
  if (log !== undefined) held.log = log;
  if (ask === undefined) return held;
  // Questions may be open together; time counts once.
  let open = 0;
  let since = 0;
  held.ask = async (question, withdrawn) => {
    if (open++ === 0) since = at.clock.monotonic();
    const goOn = deadline.hold();
    try {
      return await ask(question, withdrawn);
    } finally {
      if (--open === 0) at.until += at.clock.monotonic() - since;
      goOn();
    }
  };
  return held;
}

type Timing = Pick<Attempt, 'attempt' | 'started_at' | 'ended_at'>;

/** What follows a try: another after a wait, none because the tries or the time are used up, or none because none helps. */
type Next = { kind: 'again'; backoff: number } | { kind: 'exhausted' } | { kind: 'final' };

const OUTCOMES = { again: 'transient_failure', exhausted: 'exhausted', final: 'failed' } as const;

function recordOf(result: ExecutionResult, timing: Timing, next: Next): Attempt {
  if (result.kind === 'result')
    return { outcome: result.isError ? 'failed' : 'success', backoff_ms: 0, ...timing };
  return {
    outcome: OUTCOMES[next.kind],
    backoff_ms: next.kind === 'again' ? next.backoff : 0,
    error_class: result.code,
    error_message: result.message,
    ...(result.exceptionClass === undefined ? {} : { exception_class: result.exceptionClass }),
    ...timing,
  };
}

function nextOf(result: ExecutionResult, execution: Execution, tried: number, at: Time): Next {
  if (!isTransient(result, execution.capability.idempotency.idempotent)) return { kind: 'final' };
  if (tried > at.retry.maxRetries) return { kind: 'exhausted' };
  const backoff = backoffMs(at.retry, execution.callId, tried);
  // A wait that would end after the deadline is not begun: nothing is sent once the call's time is over.
  return at.clock.monotonic() + backoff < at.until ? { kind: 'again', backoff } : { kind: 'exhausted' };
}

/** Runs the call, retrying only what is safe to retry. Never throws. */
export async function attempt(
  executor: Executor,
  execution: Execution,
  io: CallIo,
  rules: Rules,
): Promise<Attempted> {
  const { clock, retry } = rules;
  const attempts: Attempt[] = [];
  const time: Time = { clock, retry, until: clock.monotonic() + execution.capability.timeoutSeconds * 1000 };
  const between: Between = { failed: undefined, since: 0, mayHaveLeft: false };
  const tryOnce = async (): Promise<ExecutionResult> => {
    const before = between.failed;
    between.failed = undefined;
    // A canceled wait has been answered already; what the library starts after it must not reach the tool.
    if (before !== undefined && io.signal.aborted) return canceledAfter(before);
    if (before !== undefined && clock.monotonic() >= time.until) return timedOutAfter(before);
    const started = clock.now();
    const result = await runOnce(executor, execution, io, time);
    between.mayHaveLeft ||= result.kind === 'failed' && result.sideEffect === 'side_effect_unknown';
    const timing = { attempt: attempts.length + 1, started_at: started, ended_at: clock.now() };
    const next = nextOf(result, execution, timing.attempt, time);
    attempts.push(recordOf(result, timing, next));
    if (next.kind === 'again' && result.kind === 'failed') {
      between.failed = result;
      between.since = clock.monotonic();
    }
    return result;
  };
  let result = await tryOnce();
  if (between.failed !== undefined && !io.signal.aborted) {
    const waits = (tried: number): number => backoffMs(retry, execution.callId, tried);
    result = await tryAgain(tryOnce, { most: retry.maxRetries, waits, between }, io.signal);
  }
  // Another try was to come, and only its caller's cancel keeps it from that.
  if (between.failed !== undefined) result = canceledAfter(between.failed);
  const last = attempts.at(-1);
  if (last?.outcome === 'transient_failure') endWait(last, result, clock.monotonic() - between.since);
  const isUnknown = between.mayHaveLeft && execution.capability.mode === 'write';
  return { result: isUnknown ? afterUnknown(result) : result, attempts };
}

type Failed = ExecutionResult & { kind: 'failed' };

/** `failed` is what a wait for the next try follows; undefined while a try runs and after the last. */
interface Between {
  failed: Failed | undefined;
  /** When the last such wait began, monotonic. */
  since: number;
  /** A try so far may have taken effect. */
  mayHaveLeft: boolean;
}

/** What ends a wait changes nothing about how far the try before it came. */
function canceledAfter(failed: Failed): ExecutionResult {
  return { ...canceled('canceled before it was tried again'), sideEffect: failed.sideEffect };
}

/** No try followed the last wait: its caller canceled, or the time of the call was over. */
function endWait(last: Attempt, result: ExecutionResult, waited: number): void {
  if (result.kind === 'failed' && result.code === 'CANCELED') {
    last.backoff_ms = Math.min(last.backoff_ms, Math.round(waited));
  } else last.outcome = 'exhausted';
}

function timedOutAfter(failed: Failed): ExecutionResult {
  return { ...failed, code: 'TOOL_TIMEOUT', message: ERRORS.TOOL_TIMEOUT.sentence };
}

/** A try that certainly did nothing says nothing of one before it, and what may have run is not made anew by a token. */
function afterUnknown(result: ExecutionResult): ExecutionResult {
  if (result.kind !== 'failed') return result;
  const { expiry: _, ...failed } = result;
  return { ...failed, sideEffect: 'side_effect_unknown' };
}

interface Retries {
  most: number;
  waits: (tried: number) => number;
  between: Between;
}

/** The tries after the first, each after its wait. */
async function tryAgain(
  tryOnce: () => Promise<ExecutionResult>,
  { most, waits, between }: Retries,
  signal: AbortSignal,
): Promise<ExecutionResult> {
  const cut = canceledBetween(signal, between);
  // Most calls never get here, so most processes never load it.
  const { DelegateBackoff, handleWhenResult, retry } = await import('cockatiel');
  const policy = retry(
    handleWhenResult(() => between.failed !== undefined && !signal.aborted),
    { maxAttempts: most, backoff: new DelegateBackoff((context) => waits(context.attempt)) },
  );
  let isFirst = true;
  const run = policy.execute(() => {
    const failed = isFirst ? between.failed : undefined;
    isFirst = false;
    return failed ?? tryOnce();
  }, signal);
  // The library's wait does not end with the signal, so the caller's cancel is raced against it between tries.
  const result = await Promise.race([run, cut.result]);
  cut.done();
  return result;
}

function canceledBetween(
  signal: AbortSignal,
  between: Between,
): { result: Promise<ExecutionResult>; done: () => void } {
  let onAbort = (): void => undefined;
  const result = new Promise<ExecutionResult>((resolve) => {
    onAbort = () => {
      // While a try runs it hears the signal itself and says how far it came; only a wait is cut here.
      if (between.failed !== undefined) resolve(canceledAfter(between.failed));
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
