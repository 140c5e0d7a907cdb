/** Catalog and identity. */
export const CI = {
  'CI-01':
    'A capability declares owner, mode, transport, time limit, principal, risk, network, approval and idempotency, and each has an effect.',
  'CI-02': "An agent's identity and inventory gate every call, and the caller's agent id must match.",
  'CI-03': 'The agent inspection sets the configured identity beside the catalog with all capability fields.',
  'CI-04': 'The bundled support-triage example has its documented identity and two capabilities.',
  'CI-05': 'Inventory drift, including a changed schema or version, is reported and blocks.',
  'CI-06': 'Direct tool access that bypasses the registry is detected and blocks rollout.',
  'CI-07': 'Tool names are unique and schemas are checked at registration.',
  'CI-08':
    'Every capability has permission, version, pack and description, and the permission takes part in decisions.',
  'CI-09': 'Network access needs named egress hosts, and no others are reachable.',
  'CI-10':
    "A tool's recovery contract says if it is repeatable, what to retry and how to reconcile, and is obeyed.",
} as const;
