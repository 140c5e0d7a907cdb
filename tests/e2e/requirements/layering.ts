/** Layering and public surface. */
export const LY = {
  'LY-01':
    'Exactly one public agent tool, `agent:execute-turn`, is offered; adapters, augmentation and the policy factory never appear in a tool list.',
  'LY-02': "Kernel, pack and host are separable owners, and the pack imports none of the kernel's internals.",
  'LY-03':
    'Every wake-up, resumed session and workflow branch runs as the one task type `agent-session`, under ids checked against the stored ones.',
  'LY-04':
    'The governed loop, session and workflow helpers, the message builders, the catalog builder and the state store are importable by name.',
  'LY-05':
    'A request for a tool outside the governed catalog is refused with its own code before any handler is looked up, and is recorded.',
  'LY-06':
    'Each run stage is its own module, and the coordinator knows no tool, payload, local retry or redaction.',
  'LY-07': 'A run passes its stages in one fixed order, and its events prove that order.',
  'LY-08':
    'Runtime, execution layer, telemetry and gates each own one part of duplicate protection; adapters own none.',
  'LY-09':
    "One generated manifest declares the pack's identity, config, factories, task types, tools, policies, evidence types and aliases.",
  'LY-10':
    'A pack is pinned by digest; a mismatch, an escaping scope pattern or a catch-all write scope is refused at load.',
  'LY-11':
    'A workspace configuration that changes or vanishes after start stops tool calls with `SPEC_TAMPERED` until it is reloaded on purpose.',
} as const;
