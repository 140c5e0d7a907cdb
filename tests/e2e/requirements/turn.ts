/** Turn contract. */
export const TC = {
  'TC-01': 'One turn makes exactly one provider call and reports the count, zero when refused before it.',
  'TC-02':
    'A turn needs only its messages, takes every optional input and refuses unknown keys at every level before any network use.',
  'TC-03':
    'A message has a role, content that may be empty and optional tool fields; whatever a turn accepts, a saved session can load.',
  'TC-04': "Tool and intent catalog entries are strict, and a tool's input schema reaches the model.",
  'TC-05':
    "A turn's output has the fixed fields, a requested tool exactly when one is asked for, optional usage and nothing else.",
  'TC-06':
    'The status is one of four; a requested tool and `tool_request` come together, and any other answer is malformed.',
  'TC-07':
    'A reply leaves the session resumable, a completion closes it and an escalation reaches an operator.',
  'TC-08':
    'Turn, tool-call and input-size limits are counted by us and refused with measured and allowed values before the provider is contacted.',
  'TC-09':
    'Every provider, streaming or not, yields the same output shape, which is validated on the way out without losing metadata.',
  'TC-10': 'A failure has one envelope and a distinct code per cause, and says whether a retry can help.',
  'TC-11':
    'Streaming gives live numbered partial snapshots and one final snapshot equal to the output, each recorded as progress.',
  'TC-12':
    'Every turn carries tenant, principal, agent, trace, session, run, authorization mode and delegation.',
  'TC-13': 'A run without tenant, principal or agent identity is denied with a stable id and still recorded.',
  'TC-14':
    "A run's result keeps success, waiting for approval, denied, failed and blocked on reconciliation apart as typed values.",
  'TC-15':
    "The provider's finish reason is kept word for word, and a truncated answer is told apart from a normal stop.",
  'TC-16': 'The configured tool-hop bound of a run holds independently of the turn limits.',
} as const;
