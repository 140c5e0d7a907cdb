/** Sandbox. */
export const SB = {
  'SB-01':
    'A subprocess tool runs in a bubblewrap sandbox built from its scopes, with a clean environment and resource limits.',
  'SB-02': 'Only declared environment names reach a tool.',
  'SB-03': 'Network off means no network, and an allowlist lets only the listed hosts be reached.',
  'SB-04':
    'A missing sandbox refuses rather than running unconfined, and every subprocess fault has its own code.',
  'SB-05': 'The sandbox profile contract is parsed, enforced and shown.',
  'SB-06': 'A review of a sandbox profile is recorded only when a person really made it.',
  'SB-07': 'Sandbox session state is kept beside run and trace, with snapshot, manifest and resume facts.',
  'SB-08': 'Each run gets its own directory, and tools cannot follow a link out of it.',
  'SB-09': 'A run says whether it began fresh, live, from saved state or from a snapshot.',
  'SB-10': 'Each receipt states honestly what confinement of reads was and was not enforced.',
} as const;
