/** Delegated authorization. */
export const DA = {
  'DA-01': 'Only the three authorization modes are accepted, in every place that names one.',
  'DA-02': 'User delegation needs a principal and a scope that covers the capability.',
  'DA-03':
    'Delegation is carried through events, results, approvals, sessions, exports and replay, and no tool result can alter it.',
  'DA-04': 'The delegation defaults are settings that code obeys.',
  'DA-05': 'Revoked delegation cancels or asks again before a paused action completes.',
  'DA-06': 'A sub-agent or branch inherits delegation only by explicit grant.',
  'DA-07': 'Every side effect shows tool, runtime and delegated principal side by side.',
  'DA-08': 'Resume checks the whole delegated authority again before anything runs.',
} as const;
