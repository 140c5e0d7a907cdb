/** Rollout, controls, lifecycle governance. */
export const RL = {
  'RL-01': 'The rollout check answers from evidence, and without evidence it is not ready.',
  'RL-02': 'The rollout settings are read and obeyed, the exposure limit included.',
  'RL-03': 'The controls check covers its required signals and blockers, unknown until observed.',
  'RL-04': 'The change check reports its fields and verifies the approving roles.',
  'RL-05': 'The retirement check reports its fields from observed steps.',
  'RL-06': 'The lifecycle inspection shows every block with values read from configuration and state.',
  'RL-07': 'The artifact bundle is described, and required provenance without a signature is refused.',
  'RL-08': 'Each retirement step has its effect on the runtime.',
  'RL-09': 'Retirement archives every named target.',
  'RL-10': 'A run carries the release identity from which change, bundle and retirement can be traced.',
  'RL-11': 'Control and freeze owners are shown, and a freeze takes effect.',
  'RL-12': 'Signals accept the documented booleans and refuse unknown names with stable errors.',
  'RL-13': 'A gate decision is a stored artifact with owner and wave.',
} as const;
