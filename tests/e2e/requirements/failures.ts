/** Retries, failure modes, side effects. */
export const RF = {
  'RF-01':
    'Retries are bounded with capped exponential backoff and deterministic jitter, as configured, and really wait.',
  'RF-02': 'Every attempt leaves a record with outcome, backoff, error class and timing.',
  'RF-03': 'Only failures declared retryable are retried.',
  'RF-04': 'A transient tool failure followed by success is recorded as such and does not end the run.',
  'RF-05': 'Exhausted retries end the run with the documented terminal reason.',
  'RF-06': 'Arguments that break a schema are denied without a tool call and end the run.',
  'RF-07': 'A repeated identical call is denied by the cycle rule and ends the run as a policy denial.',
  'RF-08':
    'An uncatalogued exception is recorded with its class and ends the run, while interrupts pass through.',
  'RF-09': 'One classifier with fixed precedence gives every failure and every denial its mode.',
  'RF-10': 'A failed run is first-class in events, export, inspection, replay and commands.',
  'RF-11': 'An operator can inject named tool faults, and no user input can.',
  'RF-12': 'A tool outcome is one of seven typed values.',
  'RF-13': 'Side effects have four statuses, and an unknown one blocks the run instead of retrying.',
  'RF-14':
    'An idempotency key is durably reserved with its digest, and the answer is execute, replay, wait, conflict or reconcile.',
  'RF-15': 'The ticket example can never create a duplicate, and the check for it blocks.',
  'RF-16': 'Finished writes of a failed step are kept and not repeated on resume, from a named boundary.',
  'RF-17':
    "A call cut off by a crash is reconciled as crashed, and another live process's calls are left alone.",
  'RF-18': 'Terminal reasons are one list, the same in code, traces and docs.',
} as const;
