/** Capability sessions. */
export const CS = {
  'CS-01': 'Run and capability session are separate records, and one run may hold several sessions.',
  'CS-02': 'A capability session records its ids, status, expiry, resume token and approval state.',
  'CS-03': 'Capability sessions follow one set of statuses and legal transitions.',
  'CS-04': 'Progress from a tool is stored in order and visible before the answer.',
  'CS-05': "A tool's question pauses the run with its schema, and the checked answer resumes it.",
  'CS-06': 'Session expiry is a policy-governed event with an owner.',
  'CS-07': 'A rebuilt session gets a new id linked to the old one and passes policy again.',
  'CS-08': 'Both settings vocabularies for capability sessions are read into one meaning.',
  'CS-09': 'An approval decision moves approval and capability session together or not at all.',
  'CS-10': 'Operators can see what resumed, what expired and what must be retried.',
  'CS-11': 'A tool that needs no session pays nothing for sessions.',
  'CS-12': 'A resume token is unguessable, single-use and bound to run and principal.',
} as const;
