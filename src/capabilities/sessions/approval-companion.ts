// Owns how a capability session moves with the approvals of the calls that would go through it: it waits from the commit in
// which an approval is opened to the one in which it is decided, expires or is taken back.
import type { DownstreamServer } from '../../config/types.ts';
import type { ApprovalCompanion } from '../../kernel/approvals/companion.ts';
import type { PoolIdentity } from '../downstreams.ts';
import type { DecidedMark } from './capability-session.ts';
import type { Ledger } from './ledger.ts';
import type { LiveSessions } from './live.ts';

const MARKS: ReadonlySet<string> = new Set<DecidedMark>(['approved', 'rejected', 'expired', 'revoked']);

function isMark(state: string): state is DecidedMark {
  return MARKS.has(state);
}

/** For whoever only answers approvals. */
export function decidedCompanion(ledger: Ledger): ApprovalCompanion {
  return {
    async moved({ tenant, approvalId, capabilitySessionId }, state, at) {
      if (capabilitySessionId === undefined || !isMark(state)) return {};
      const held = await ledger.get(tenant, capabilitySessionId);
      if (held === undefined) return {};
      return (
        ledger.moving(held, { type: 'capability_approval_decided', approvalId, decided: state, at }) ?? {}
      );
    },
  };
}

/** For the process that opens approvals too. */
export function sessionCompanion(
  sessions: LiveSessions,
  servers: Readonly<Record<string, DownstreamServer>>,
  poolKeyOf: (server: string, who: PoolIdentity) => string | undefined,
): ApprovalCompanion {
  return {
    ...decidedCompanion(sessions.parts.ledger),
    opening(subject, name) {
      const { tenant, principal, runId, traceId, approvalId } = subject;
      const who = { tenant, principal };
      const server = servers[name];
      const poolKey = poolKeyOf(name, who);
      if (server === undefined || poolKey === undefined) return Promise.resolve(undefined);
      return sessions.awaiting(
        { server, who, poolKey, run: { runId, traceId } },
        { approvalId, at: subject.requestedAt, until: subject.answerBy },
      );
    },
  };
}
