/** Intents and policy. */
export const PO = {
  'PO-01': 'Configured intents compile to one approval rule and one deny rule on tool requests.',
  'PO-02':
    "A tool outside its intent's list is denied, an unknown intent denies all, and marked tools ask for approval.",
  'PO-03': 'With intents configured, a tool call that carries no intent is denied.',
  'PO-04': 'An intent that the model names but the catalog does not is a malformed turn.',
  'PO-05':
    'Policy layers apply in fixed order, a deny sticks, and a loosening needs explicit leave or is reported and ignored.',
  'PO-06': 'Every call stores its list of decisions with policy ids, reasons and the policy digest.',
  'PO-07':
    'Rules can fire on tool request, claim, completion and added evidence, and can match parsed arguments.',
  'PO-08':
    'A URL off the allowlist is denied wherever it stands in the arguments, with scheme, port and user part considered.',
  'PO-09': 'A path whose real location leaves the sandbox is denied and cannot be swapped after the check.',
  'PO-10': 'A used-up iteration or token budget is a recorded deny that ends the run as such.',
  'PO-11':
    'The tool registry denies listed tools and those outside its allow list, saying which list matched.',
  'PO-12':
    "Arguments are checked strictly against the tool's full JSON Schema, and strict mode will not start without one.",
  'PO-13': 'When several gates would deny, the published precedence names the one reported.',
  'PO-14': 'The same call repeated beyond the configured count within a session is denied as a cycle.',
  'PO-15': 'Every deny is its own span with its rule id and the digest of the policy that judged it.',
  'PO-16': 'A deny ends the run exactly for the rule classes documented to do so, and the result says so.',
  'PO-17': 'Rules can decide `escalate`, and that decision appears in policy spans.',
  'PO-18': 'Capability decisions carry stable ids, and no argument of the model can skip the approval rule.',
  'PO-19': 'A memory write is decided by kind, content and tenant, with an event per candidate.',
  'PO-20':
    'Policy runs on every path: start, tool, memory, resume, wake-up, approval continuation and background work.',
  'PO-21':
    'The policy file is checked against its schema at start, and a fault names file, pointer and message.',
  'PO-22':
    'The governed tool list shows only what scope and policy leave reachable, with approval marks and schemas.',
  'PO-23': 'Trajectory rules over verified history hold, and missing, corrupt or stale history denies.',
} as const;
