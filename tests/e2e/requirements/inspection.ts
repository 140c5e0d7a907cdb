/** Inspection API and operator CLI. */
export const IN = {
  'IN-01': 'A subscriber receives events while a request runs, and can unsubscribe.',
  'IN-02': 'Requests, sessions, approvals and health can be listed during, after and across a restart.',
  'IN-03': 'Requests, sessions, approvals, events, queue, health and artifacts are stored records.',
  'IN-04': "The operator's overview, health, approval, request and export commands exist with their flags.",
  'IN-05': 'Commands give a readable summary of failures, approvals, stuck work and last activity.',
  'IN-06': 'Every command of the reference package exists with its fields and works on real past runs.',
  'IN-07': 'Every override and selector flag of those commands is honoured.',
  'IN-08': 'Each step of the incident playbook is one command.',
  'IN-09': 'Recovery after a restart needs no operator ritual.',
  'IN-10': 'Inspecting a task shows state, runs, receipts, decisions and events without duplicates.',
  'IN-11': 'Request, session, approval and artifact link to each other both ways.',
  'IN-12': 'One command explains one run.',
  'IN-13': 'Long runs can be polled, resumed and cancelled through the same surface.',
  'IN-14': 'Stalled, overdue, expired and orphaned work is detected.',
} as const;
