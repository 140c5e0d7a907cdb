// Owns the record types of this room: what became of the trust in a server's tools. They stand on the workspace chain.
export const CAPABILITY_RECORDS = ['tools_pinned', 'tools_quarantined'] as const;
export type CapabilityRecord = (typeof CAPABILITY_RECORDS)[number];
