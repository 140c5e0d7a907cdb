/** Scope intersection. */
export const SC = {
  'SC-01':
    'Effective scope is the true intersection of workspace, lane, task and tool, per call and per kind.',
  'SC-02':
    'The strictest network posture wins, allowlists intersect with ports normalised, and an empty one denies.',
  'SC-03':
    'When any needed kind of scope is empty the call is refused with the requested and the allowed scope.',
  'SC-04': 'No tool can write under the reserved framework directory, however its pattern is spelt.',
  'SC-05': 'Pattern containment is conservative and survives property tests.',
  'SC-06': 'The start record shows requested, allowed and truly enforced scope.',
  'SC-07': 'Scope layers come from trusted configuration, and nothing a caller sends can widen them.',
  'SC-08': "The pack's own storage is confined to its directory, and no session id can escape it.",
} as const;
