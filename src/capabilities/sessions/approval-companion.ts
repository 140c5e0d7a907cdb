// Owns how a capability session moves with the approvals of the calls that would go through it: it waits from the commit in
// which an approval is opened to the one in which it is decided, expires or is taken back.
import type { DownstreamServer } from '../../config/types.ts';
import type { ApprovalSubject } from '../../kernel/approvals/approval.ts';
import { together } from '../../kernel/approvals/companion.ts';
import type { ApprovalCompanion } from '../../kernel/approvals/companion.ts';
import type { Commit } from '../../store/contract.ts';
import type { PoolIdentity } from '../downstreams.ts';
import type { DecidedMark } from './capability-session.ts';
import type { Ledger } from './ledger.ts';
import type { LiveSessions } from './live.ts';

const MARKS: ReadonlySet<string> = new Set<DecidedMark>(['approved', 'rejected', 'expired', 'revoked']);

function isMark(state: string): state is DecidedMark {
  return MARKS.has(state);
}

/** Several approvals may wait for one connection. */
function bySession(
  subjects: readonly ApprovalSubject[],
): Map<string, [ApprovalSubject, ...ApprovalSubject[]]> {
  const found = new Map<string, [ApprovalSubject, ...ApprovalSubject[]]>();
  for (const subject of subjects) {
    const { capabilitySessionId: id } = subject;
    if (id === undefined) continue;
    const known = found.get(id);
    if (known === undefined) found.set(id, [subject]);
    else known.push(subject);
  }
  return found;
}

/** For whoever only answers approvals. */
export function decidedCompanion(ledger: Ledger): ApprovalCompanion {
  return {
    async moved(subjects, state, at) {
      let commit: Commit = {};
      if (!isMark(state)) return commit;
      for (const [id, its] of bySession(subjects)) {
        const held = await ledger.get(its[0].tenant, id);
        const events = its.map(({ approvalId }) => {
          return { type: 'capability_approval_decided' as const, approvalId, decided: state, at };
        });
        const moving = held && ledger.moving(held, events);
        if (moving !== undefined) commit = together(commit, moving);
      }
      return commit;
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
