// Owns the one question that a legacy connection is asked directly: sent, raced against the wait limit, kept alive by
// heartbeats, and every outcome, error and silence included, returned as a Delivery.
import { SdkError, SdkErrorCode } from '@modelcontextprotocol/server';
import type { ServerContext } from '@modelcontextprotocol/server';
import { startDeadline } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import type { Delivery } from '../kernel/approvals/approval.ts';
import { APPROVAL_FORM, readReaction } from './delivery.ts';

// The call of a legacy client runs into its own limit of 60 s while a person thinks.
export const LONGEST_WAIT_MS = 50_000;
const HEARTBEAT_MS = 5000;
// Our own deadline always comes first; the SDK's default of 60 s on another clock must not.
export const SDK_LIMIT_MS: number = 10 * LONGEST_WAIT_MS;

export interface Question {
  text: string;
  waitMs: number;
  clock: Clock;
  /** Tells the client that its call is alive. */
  beat(): void;
}

export function startHeartbeat(clock: Clock, beat: () => void): () => void {
  let cancel = (): void => undefined;
  const arm = (): void => {
    cancel = clock.after(HEARTBEAT_MS, () => {
      beat();
      arm();
    });
  };
  arm();
  return () => cancel();
}

export async function askLegacy(ctx: ServerContext, question: Question): Promise<Delivery> {
  const { clock } = question;
  const { signal } = ctx.mcpReq;
  const shownAt = clock.monotonic();
  const latency = (): number => clock.monotonic() - shownAt;
  const deadline = startDeadline(clock, Math.min(question.waitMs, LONGEST_WAIT_MS), signal);
  const stopHeartbeat = startHeartbeat(clock, () => question.beat());
  try {
    // Not elicitInput: it turns a malformed answer into an error that looks like the client's own.
    const result = await ctx.mcpReq.send(
      {
        method: 'elicitation/create',
        params: { mode: 'form', message: question.text, requestedSchema: APPROVAL_FORM },
      },
      { signal: deadline.signal, timeout: SDK_LIMIT_MS },
    );
    return readReaction(result, latency());
  } catch (thrown) {
    const latencyMs = latency();
    if (signal.aborted) return { kind: 'withdrawn', latencyMs };
    if (deadline.timedOut()) return { kind: 'timed_out', latencyMs };
    const malformed = thrown instanceof SdkError && thrown.code === SdkErrorCode.InvalidResult;
    return { kind: 'not_shown', why: malformed ? 'malformed' : 'error', latencyMs };
  } finally {
    stopHeartbeat();
    deadline.done();
  }
}
