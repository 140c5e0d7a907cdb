/** Scheduling and named instances. */
export const SN = {
  'SN-01': 'A node with a wake time is parked and woken by us at or after that instant.',
  'SN-02':
    'A schedule is a durable record with owner, payload schema, key, overlap policy, next fire and trace.',
  'SN-03': 'Delayed, timed, cron and interval schedules survive a restart.',
  'SN-04': 'A named instance outlives runs and keeps its state across disconnects, deploys and sleep.',
  'SN-05':
    'It can be seen which instance owns state, what changed it, what may wake it and why resume is safe.',
  'SN-06': 'Named instances are isolated by tenant, and outside knowledge is not instance state.',
  'SN-07': 'A scheduled side effect without a present user needs an explicit mode and a fresh policy check.',
  'SN-08': "Instance state is migrated when the agent's version changes.",
  'SN-09':
    'Connection state is kept apart from agent state, and fan-out is authorised and traced per connection.',
  'SN-10': 'An idle instance can sleep and resume without repeating effects.',
  'SN-11': 'Missed fires follow a policy with jitter, and no fire happens twice across processes.',
} as const;
