/** Compaction, reset, handoff. */
export const CH = {
  'CH-01': 'Compaction and reset are different operations with different events.',
  'CH-02':
    'A handoff artifact carries state, next steps, evaluation context and constraints across roles and retirement.',
  'CH-03': 'The continuity envelope is stored under governance, with its summary digest-bound and untrusted.',
  'CH-04': 'Rehydration never authorises: it asks for authority, reconciliation or fails validation.',
  'CH-05': 'Compaction, rehydration and failed continuity leave events with reason codes.',
  'CH-06': 'Planner, generator and evaluator roles, sprint contracts and reviews are supported.',
  'CH-07': 'Checkpoints name cursor, replay boundary and partial writes, which are not duplicated.',
} as const;
