// Owns the pack as the rooms above see it: turns, the calls that turns requested, and the sessions that both belong to.
import type { Caller } from '../kernel/identity.ts';
import type { Append, Head } from '../store/contract.ts';
import type { Series } from '../base/series.ts';
import type { PackDeps } from './deps.ts';
import { managedAtFirstUse } from './managed/lazy.ts';
import type { ManagedPack } from './managed/managed-sessions.ts';
import { createDefaultSessions } from './sessions/default-sessions.ts';
import type { DirectCall } from './sessions/default-sessions.ts';
import { requestedCall } from './sessions/requested-call.ts';
import type { Requested } from './sessions/requested-call.ts';
import { createSessions } from './sessions/sessions.ts';
import type { TurnFailure, TurnInput, TurnOutput } from './turn/contract.ts';
import type { TurnIo } from './turn/run-turn.ts';
import type { Workflows } from './workflows/contract.ts';

export interface Pack {
  /** One governed model turn. Never rejects: a failure is recorded and returned. */
  executeTurn(caller: Caller, input: TurnInput, io: TurnIo): Promise<TurnOutput | TurnFailure>;
  /** The call that a turn of this session requested, ready for the kernel's door. Throws NOT_FOUND. */
  requestedCall(
    caller: Caller,
    handle: { session_id: string; tool_call_id: string },
    series?: Series,
  ): Promise<Requested>;
  /** Must be told of what the kernel's calls write, or sessions are read anew. */
  recorded(appends: readonly Append[], heads: readonly Head[]): void;
  /** The run and default session of a call that names no session, or of one that is asked for once more. */
  directCall(caller: Caller, toolCallId?: string): Promise<DirectCall>;
  /** The same to look with: it begins no session and leaves no record. */
  directView(caller: Caller): Promise<DirectCall>;
  /** Sessions that outlive a request: started, paused, resumed and recovered by the runtime itself. */
  readonly managed: ManagedPack;
  /** Workflows over those sessions; loaded at the first use. */
  workflows(): Promise<Workflows>;
}

export function createPack(deps: PackDeps): Pack {
  const sessions = createSessions(deps.store);
  const room = { deps, sessions, running: new Set<string>() };
  const defaults = createDefaultSessions(deps);
  // Loaded at the first turn: a server that only governs tools never takes one.
  let turns: typeof import('./turn/run-turn.ts') | undefined;
  const turn: Pack['executeTurn'] = async (caller, input, io) => {
    turns ??= await import('./turn/run-turn.ts');
    // Whether the claim of a new session is granted is looked at anew before anything of it is recorded.
    if (input.authorization !== undefined) await deps.refreshGrants?.();
    return turns.executeTurn(room, caller, input, io);
  };
  const managed = managedAtFirstUse(async () => {
    const { createManagedSessions } = await import('./managed/managed-sessions.ts');
    return createManagedSessions({ deps, sessions, executeTurn: turn });
  });
  let workflows: Promise<Workflows> | undefined;
  const loadWorkflows = async (): Promise<Workflows> => {
    const { openWorkflows } = await import('./workflows/open.ts');
    return openWorkflows(deps, managed.nodes);
  };
  return {
    executeTurn: turn,
    managed,
    workflows: () => (workflows ??= loadWorkflows()),
    requestedCall: (caller, handle, series) =>
      requestedCall({ sessions, store: deps.store }, caller, handle, series),
    recorded(appends, heads) {
      sessions.recorded(appends, heads);
    },
    directCall: (...of) => defaults.directCall(...of),
    directView: (caller) => defaults.directView(caller),
  };
}
