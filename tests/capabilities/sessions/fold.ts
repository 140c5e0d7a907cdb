// The state after all events, as the ledger reaches it step by step; one that may not happen is left out.
import type {
  CapabilityEvent,
  CapabilitySession,
} from '../../../src/capabilities/sessions/capability-session.ts';
import { transition } from '../../../src/capabilities/sessions/transition.ts';

export function foldSession(events: readonly CapabilityEvent[]): CapabilitySession | undefined {
  let session: CapabilitySession | undefined;
  for (const event of events) {
    const step = transition(session, event);
    if (step.ok) session = step.session;
  }
  return session;
}
