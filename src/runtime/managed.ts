// Owns the helpers by which a program starts and resumes a governed session that outlives the request: it goes on until
// the model has spoken, a person is needed, or a bound is reached, and everything it needs to go on lies in the journal.
import type { EpochMs } from '../base/clock.ts';
import { randomIds } from '../base/ids.ts';
import type { Progress } from '../kernel/execution/executor.ts';
import type { Caller } from '../kernel/identity.ts';
import type { ManagedResult, ManagedSessions, RunManaged } from '../pack/managed/contract.ts';
import type { TurnInput, TurnMessage, TurnSnapshot } from '../pack/turn/contract.ts';
import type { RuntimeIo } from './contract.ts';

/** What a program may see of an invocation while it runs, and how it ends it. */
export interface Watched {
  /** Ends this invocation; what it carried on is suspended and can be resumed. */
  signal?: AbortSignal;
  progress?: (progress: Progress) => void;
  snapshot?: (snapshot: TurnSnapshot) => void;
}

interface SessionRun extends Watched {
  runtime: { readonly managed: ManagedSessions };
  caller: Caller;
  /** Turns of this invocation; default 12. More are not an error: the session is suspended and can be resumed. */
  maxTurnsPerInvocation?: number;
}

/** What a session is started with. */
export interface StartSessionOptions extends SessionRun {
  executeTurnInput: TurnInput;
  /** From `mintSessionId`, recorded before; the same id again does not start a second session. */
  sessionId?: string;
  /** The session may not go on after this time, in milliseconds since 1970. */
  expiresAt?: EpochMs;
}

/** What a session is carried on with. */
export interface ResumeSessionOptions extends SessionRun {
  sessionId: string;
  /** What is new to the model: user and tool messages. While an approval is pending they wait for the turn after it. */
  continuationMessages?: TurnMessage[];
  /** Calls whose effect is unknown and of which you take note: the model is told so, and the run goes on. */
  acceptUnknown?: string[];
}

const NEVER: AbortSignal = new AbortController().signal;

export function ioOf({ signal = NEVER, progress, snapshot }: Watched): RuntimeIo {
  return {
    signal,
    ...(progress === undefined ? {} : { progress }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}

function bound({ maxTurnsPerInvocation: maxTurns }: SessionRun): RunManaged {
  return maxTurns === undefined ? {} : { maxTurns };
}

/**
 * A handle that nobody can guess. A program that must not start a thing twice records one first, and starts under it.
 */
export function mintSessionId(): string {
  return randomIds.next('ses');
}

/** Starts a session and carries it on until it waits or ends. Rejects only where nothing was started, or nothing recorded. */
export async function startGovernedAgentSession(options: StartSessionOptions): Promise<ManagedResult> {
  const { runtime, caller, executeTurnInput, sessionId, expiresAt } = options;
  const create = {
    executeTurnInput,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  return runtime.managed.start(caller, create, bound(options), ioOf(options));
}

/**
 * Carries a session on: after an approval, a budget, a reply, a stop or a crash, all alike. Rejects with CONFLICT and
 * `details.reason: 'run_held'` while another run holds it, with SESSION_CLOSED when it has ended, and with NOT_FOUND.
 */
export async function resumeGovernedAgentSession(options: ResumeSessionOptions): Promise<ManagedResult> {
  const { runtime, caller, sessionId, continuationMessages, acceptUnknown } = options;
  const how: RunManaged = {
    ...bound(options),
    ...(continuationMessages === undefined ? {} : { continuationMessages }),
    ...(acceptUnknown === undefined ? {} : { acceptUnknown }),
    reason: 'resumed',
  };
  return runtime.managed.run(caller, sessionId, how, ioOf(options));
}
