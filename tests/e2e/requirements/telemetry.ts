/** Telemetry, traces, replay. */
export const TR = {
  'TR-01':
    'An event has a version, type, trace, time, sequence and payload, and an unknown version is refused.',
  'TR-02': 'Only events of the published catalog are emitted, and each only when the thing happened.',
  'TR-03': 'Every run has its own trace id from the moment it enters.',
  'TR-04':
    'Each run exports one OTLP trace with true parents, durations and status, which common viewers load.',
  'TR-05': 'Spans carry the agreed minimum attributes, including terminal reason and exception class.',
  'TR-06': "The exporter validates against its published schema and names that schema's version.",
  'TR-07': 'Trace records are written while a run proceeds and survive a crash.',
  'TR-08':
    "Redacted export removes a field's value everywhere, lists it, and fails on a field that is not there.",
  'TR-09': 'One trace can be inspected from an export, with clear errors for none or several.',
  'TR-10': "Replay uses recorded results without effects and reports where today's outcome differs.",
  'TR-11': 'Each governed call leaves paired start and finish receipts with digests and duration.',
  'TR-12': 'Model and tool calls are wrapped in spans with duration and status.',
  'TR-13': 'Correlation ids join a stored request to its logs, traces and failures.',
  'TR-14': 'Each trace export is itself recorded: where, when, how many, what was redacted.',
  'TR-15':
    'A step ledger records the real input, output, decisions, results and errors of each step as it happens.',
} as const;
