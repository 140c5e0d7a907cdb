/** Queueing, concurrency, background runs. */
export const QB = {
  'QB-01': 'Starting a run returns a queued handle, and continuing a finished one does nothing.',
  'QB-02': 'Admission is bounded, with a refusal code and a visible position.',
  'QB-03': 'Synchronous, background and resumable runs are told apart.',
  'QB-04': 'Concurrent requests are isolated, and one session runs one step at a time.',
  'QB-05': 'A run can be cancelled from every state that is not final.',
  'QB-06': 'Retention, compaction and recovery sweeps keep the store healthy.',
  'QB-07': 'The background and pause settings are read and obeyed.',
  'QB-08': 'A crashed run is queued again exactly once, and its writes are not repeated.',
  'QB-09': 'A client can poll, tail or subscribe, and fetch the result later.',
} as const;
