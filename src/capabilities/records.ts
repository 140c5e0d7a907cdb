// Owns the record types of this room: what became of the trust in a server's tools, on the workspace chain, and what became
// of each session with a server, on a chain of its own.
import type { CapabilityEvent } from './sessions/capability-session.ts';
import type { CapabilityNote } from './sessions/ledger.ts';

export const CAPABILITY_RECORDS = ['tools_pinned', 'tools_quarantined'] as const;
export type CapabilityRecord = (typeof CAPABILITY_RECORDS)[number];

const OF_SESSIONS: Readonly<Record<CapabilityEvent['type'] | CapabilityNote, true>> = {
  capability_session_opened: true,
  capability_session_connected: true,
  capability_input_requested: true,
  capability_input_closed: true,
  capability_approval_awaited: true,
  capability_approval_decided: true,
  capability_resume_offered: true,
  capability_session_resumed: true,
  capability_session_lost: true,
  capability_session_reinitialized: true,
  capability_session_completed: true,
  capability_session_failed: true,
  capability_session_canceled: true,
  capability_session_expired: true,
  capability_progress_reported: true,
  capability_request_refused: true,
};
export const CAPABILITY_SESSION_RECORDS: readonly string[] = Object.keys(OF_SESSIONS);
