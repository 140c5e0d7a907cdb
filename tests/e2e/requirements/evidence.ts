/** Evidence and reproducibility. */
export const EV = {
  'EV-01': 'Every governed call writes start and finish receipts, and without the record nothing runs.',
  'EV-02':
    'Inputs and outputs are stored redacted under the digest of their canonical form, without type confusion.',
  'EV-03':
    'The evidence log is append-only, chained, rotated, flushed and recovers from a torn line or a dead lock.',
  'EV-04': 'Each run yields its trace, ledger, report and manifest, written together or not at all.',
  'EV-05':
    'The manifest names run, corpus, policy, code, model, seed and times truthfully, and digests its sibling files.',
  'EV-06':
    'The same run emits identical bytes except for declared fields, and drift fails the check while real time is kept.',
  'EV-07': 'Run ids follow one pattern, and local paths are replaced by tokens.',
  'EV-08': 'The run report states setup, outcome and notes that agree with the records.',
  'EV-09': 'Every number in the docs traces to an artifact, and a test proves it.',
  'EV-10': 'The evidence verifier reports each fault with a code and checks the signature.',
  'EV-11': 'The evidence of one request can be exported as one package that survives a restart.',
  'EV-12': 'Kernel events form one log from which the projections are rebuilt.',
  'EV-13': 'The scenarios of gates and failure modes are runnable and recorded.',
  'EV-14': 'The fixture corpus is deterministic and verified by its manifest.',
} as const;
