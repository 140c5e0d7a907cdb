/** Health. */
export const HE = {
  'HE-01': 'Health lists its checks with failing ones first, each with status and reason.',
  'HE-02': 'The health projection is stored and exported.',
  'HE-03':
    'Health covers storage, locks, queue, approvals, sessions, providers, policy, evidence and scheduler.',
  'HE-04': 'Health names what to do next.',
  'HE-05': 'Commands smoke-check files, traces and tools at start.',
} as const;
