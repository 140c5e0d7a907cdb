/** Sessions and eval export. */
export const SE = {
  'SE-01': 'A session and its run records hold the agreed fields durably.',
  'SE-02':
    'A mismatched tenant or principal and a duplicate trace are refused with stable messages, and a denied run spoils nothing.',
  'SE-03': 'The session summary counts runs by typed status and lists traces, keys and approvals.',
  'SE-04': 'Several inputs can be replayed in one session.',
  'SE-05': 'A session exports as versioned JSON with summary and runs.',
  'SE-06': 'The eval dataset exports the named scenarios, and real sessions too.',
  'SE-07': 'Eval cases carry their documented labels and guards.',
  'SE-08': 'Every grading rule type is evaluated by a shipped grader, blocking or not.',
  'SE-09': 'Verifier outputs carry contract version, scores, attribution and evidence.',
  'SE-10':
    'The regression gate says pass, fail or inconclusive from an interval, enough samples and critical failures.',
  'SE-11': 'The literal markers for eval gate and session idempotency appear in the outputs.',
} as const;
