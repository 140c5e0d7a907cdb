/** Loop, session, workflow helpers. */
export const WF = {
  'WF-01':
    "The governed loop runs turn, tool and message in turn through the kernel, and keeps the assistant's side.",
  'WF-02': 'A loop ends in one of its typed results, each with messages, counts and history.',
  'WF-03': 'Calls carry turn index, call count, intent and node, with call ids unique across branches.',
  'WF-04': 'A session is saved as it goes, so a crash loses nothing, and a start never overwrites another.',
  'WF-05': 'Reaching the per-invocation turn limit suspends the session, which can be resumed.',
  'WF-06': 'A session has one of the listed statuses, and the stored one is true while it runs.',
  'WF-07': 'The continuation log records each kind of event with its sequence and real time.',
  'WF-08': 'A completed or missing session cannot be resumed, and a waiting one needs its resolution.',
  'WF-09': 'Readable session files follow one versioned schema, are written atomically and read strictly.',
  'WF-10':
    "A workflow's nodes have unique ids, known dependencies and no unintended cycle, checked at start.",
  'WF-11': 'A node has one of the listed statuses, and each is reachable.',
  'WF-12': 'Independent ready branches run concurrently.',
  'WF-13': 'A join runs once when its branches are done, receives their outputs and is recorded.',
  'WF-14': 'A branch that waits for approval can be continued at that node.',
  'WF-15': 'Advancing a workflow returns one of its typed results with the nodes concerned.',
  'WF-16': 'A failed branch follows its policy: fail fast, continue or compensate, with retries per node.',
  'WF-17':
    "Host context becomes labelled messages, trimmed, with untrusted memory kept out of the system's voice.",
  'WF-18': 'A tool result becomes a bounded tool message marked as untrusted.',
  'WF-19': 'Two simultaneous resumes never run a tool twice.',
  'WF-20':
    'Chaining, routing, parallel work and orchestrated workers are supported with the checkpoints they need.',
  'WF-21': 'Workflows can branch on conditions, loop within bounds and add nodes while running.',
  'WF-22': 'Session history is complete, replayable and appended without rewriting the whole.',
  'WF-23': 'A workflow can be cancelled, and the cancel reaches waiting nodes and capability sessions.',
} as const;
