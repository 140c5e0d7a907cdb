// Owns what becomes of a call whose connection the server no longer knew: by policy another connection is built and the
// call may be asked for again, a person is asked first, or it is over.
//
// W1  Only a call that certainly did not run is answered so; one that may have run is `side_effect_unknown`, without a token.
// W2  Nothing is repeated here: policy and approvals decide on the repeated call anew.
import type { Until } from '../base/abort.ts';
import { ERRORS, RuntimeError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Execution, ExecutionResult, Expiry } from '../kernel/execution/executor.ts';
import type { Lease } from './downstreams.ts';
import type { Session } from './session.ts';
import type { SessionKey } from './sessions/ledger.ts';
import { LOST_SESSION } from './sessions/live.ts';
import type { LiveSessions, Use } from './sessions/live.ts';
import { SESSION_GONE } from './transport.ts';

type Failure = Extract<ExecutionResult, { kind: 'failed' }>;

interface Parts {
  sessions: LiveSessions;
  clock: Clock;
  maxWaitMs: number;
}

interface Repeat {
  execution: Execution;
  lease: Lease;
  parts: Parts;
}

export function isSessionGone(thrown: unknown): boolean {
  return thrown instanceof RuntimeError && thrown.details[SESSION_GONE] === true;
}

/** The session that may not be built anew without a person, if that is what was thrown. */
export function lostSession(thrown: unknown): string | undefined {
  const id = thrown instanceof RuntimeError ? thrown.details[LOST_SESSION] : undefined;
  return typeof id === 'string' ? id : undefined;
}

function expired(message: string, expiry: Expiry): Failure {
  return {
    kind: 'failed',
    code: 'CAPABILITY_SESSION_EXPIRED',
    message,
    sideEffect: 'not_executed',
    notes: [`capability session ${expiry.expiredId} was lost: ${expiry.cause}`],
    capabilitySessionId: expiry.nextId ?? expiry.expiredId,
    expiry,
  };
}

function canceled(message: string, expiry: Expiry): Failure {
  return { ...expired(message, { ...expiry, retry: [] }), code: 'CANCELED' };
}

async function offer(key: SessionKey, { execution, parts }: Repeat): Promise<{ resumeToken?: string }> {
  const { sessions, clock, maxWaitMs } = parts;
  const { ledger, controls } = sessions.parts;
  if (!controls.resumeAllowed) return {};
  const { runId } = execution.context;
  const token = await ledger.offer(key, { runId, callId: execution.callId, until: clock.now() + maxWaitMs });
  return token === undefined ? {} : { resumeToken: token };
}

/** The answer where a lost session needs a person before it is built anew. */
export async function mustAsk(lostId: string, repeat: Repeat): Promise<Failure> {
  const { tenant } = repeat.execution.context.caller;
  const held = await repeat.parts.sessions.parts.ledger.get(tenant, lostId);
  const lost = held?.session;
  const cause = lost?.status === 'reinitialize_required' ? lost.cause : 'connection_lost';
  return expired('A person has to agree before the connection is built anew.', {
    expiredId: lostId,
    cause,
    resumed: [],
    retry: [repeat.execution.callId],
    ...(await offer({ tenant, id: lostId }, repeat)),
  });
}

/** The answer for the call in which the server said that it knows the session no longer. */
export async function afterLoss(
  failure: Failure,
  lost: { session: Session; key: SessionKey; use: Use },
  repeat: Repeat & { until: Until },
): Promise<Failure> {
  const { sessions } = repeat.parts;
  const { controls, ledger } = sessions.parts;
  await sessions.ended(lost.session);
  const cause = lost.session.loss() ?? 'connection_lost';
  const expiry: Expiry = { expiredId: lost.key.id, cause, resumed: [], retry: [repeat.execution.callId] };
  if (controls.onExpiry === 'cancel') return canceled(failure.message, expiry);
  if (controls.reinitRequiresApproval) return mustAsk(lost.key.id, repeat);
  try {
    const session = await repeat.lease.connection.session(repeat.until);
    const key = await sessions.of(session, lost.use);
    const token = await offer(key, repeat);
    return expired(failure.message, { ...expiry, nextId: key.id, resumed: ['connection'], ...token });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : ERRORS.DOWNSTREAM_UNAVAILABLE.sentence;
    const at = repeat.parts.clock.now();
    await ledger.move(lost.key, {
      type: 'capability_session_canceled',
      reason: 'it could not be built anew',
      at,
    });
    return canceled(`${failure.message}; another could not be built: ${reason}`, expiry);
  }
}
