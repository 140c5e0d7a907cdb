// Owns what the worker does with what is due: it carries sessions and workflows on as their own principal, with the roles
// and scopes that the configuration gives that principal now.
import type { Clock } from '../base/clock.ts';
import { asRuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Advanced, Runs } from '../pack/background/worker.ts';
import type { ManagedPack } from '../pack/managed/managed-sessions.ts';
import type { ManagedResult } from '../pack/managed/contract.ts';
import type { Queue } from '../pack/background/queue.ts';
import type { WorkflowResult, Workflows } from '../pack/workflows/contract.ts';

/** Who a principal is now; undefined for one that the configuration no longer knows. */
export type CallerOf = (tenant: string, principal: string) => Caller | undefined;

export interface RunsDeps {
  clock: Clock;
  queue: Queue;
  managed: ManagedPack;
  workflows: () => Promise<Workflows>;
  callerOf: CallerOf;
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
}

// An answer wakes a parked run at once; this is for answers whose wakeup was lost with their process.
const APPROVAL_POLL_MS = 60_000;
// A run is admitted before it is recorded; one that is not recorded after this never will be.
const CREATION_MS = 60_000;

/** The principals of identity.yaml, by tenant and id. */
export function configuredCallers({ identity }: RuntimeConfig): CallerOf {
  const known = new Map(identity.principals.map((one) => [JSON.stringify([one.tenant, one.id]), one]));
  return (tenant, principal) => {
    const found = known.get(JSON.stringify([tenant, principal]));
    if (found === undefined) return undefined;
    const { roles, scopes, lane = 'default' } = found;
    return { tenant, principal, actor: 'worker', roles, scopes, lane };
  };
}

function ended(how: 'completed' | 'failed' | 'canceled', reason: string): Advanced {
  return { type: 'ended', how, reason };
}

function afterSession(result: ManagedResult, clock: Clock, stopped: boolean): Advanced {
  const now = clock.now();
  switch (result.kind) {
    case 'completed':
      return ended('completed', result.status);
    case 'approval_required':
      return { type: 'parked', why: 'approval', until: now + APPROVAL_POLL_MS };
    case 'scheduled':
      return { type: 'parked', why: 'time', until: Date.parse(result.next_wake_at) };
    case 'suspended':
      return stopped
        ? { type: 'parked', why: 'time', until: now }
        : ended('completed', `suspended: ${result.reason}`);
    case 'canceled':
      return ended('canceled', result.reason);
    case 'expired':
      return ended('failed', `expired: ${result.reason}`);
    case 'error':
      return ended('failed', result.error.code);
  }
}

function afterWorkflow(result: WorkflowResult, clock: Clock, stopped: boolean): Advanced {
  const now = clock.now();
  switch (result.kind) {
    case 'completed':
      return ended('completed', 'completed');
    case 'approval_required':
      return { type: 'parked', why: 'approval', until: now + APPROVAL_POLL_MS };
    case 'scheduled':
      return { type: 'parked', why: 'time', until: Date.parse(result.next_wake_at) };
    case 'suspended':
      return stopped
        ? { type: 'parked', why: 'time', until: now }
        : ended('completed', `suspended: ${result.reason}`);
    case 'canceled':
      return ended('canceled', result.reason);
    case 'error':
      return result.over
        ? ended('failed', result.error.code)
        : { type: 'parked', why: 'approval', until: now + APPROVAL_POLL_MS };
  }
}

export function createRuns(deps: RunsDeps): Runs {
  const { clock, managed, queue } = deps;

  const advance = async (run: Parameters<Runs['advance']>[0], signal: AbortSignal): Promise<Advanced> => {
    const caller = deps.callerOf(run.tenant, run.principal);
    if (caller === undefined) return ended('failed', 'the configuration no longer knows this principal');
    if (run.kind === 'workflow') {
      const result = await (await deps.workflows()).resume(caller, run.id, {}, { signal });
      return afterWorkflow(result, clock, signal.aborted);
    }
    const status = await managed.status(caller, run.id);
    const reason = status === 'queued' ? 'created' : status === 'waiting_approval' ? 'approval' : 'wakeup';
    return afterSession(await managed.run(caller, run.id, { reason }, { signal }), clock, signal.aborted);
  };

  return {
    async advance(run, signal) {
      try {
        return await advance(run, signal);
      } catch (thrown) {
        const error = asRuntimeError(thrown);
        if (error.code === 'SESSION_CLOSED') return ended('completed', 'it had ended before');
        if (error.code !== 'NOT_FOUND') throw thrown;
        const entry = await queue.find(run.tenant, run.id);
        const isFresh = entry !== undefined && clock.now() - entry.admittedAt < CREATION_MS;
        return isFresh
          ? { type: 'parked', why: 'time', until: clock.now() + 500 }
          : ended('failed', 'it was never recorded');
      }
    },
    async isReady({ tenant, principal, id, kind }) {
      const entry = await queue.find(tenant, id);
      const caller = deps.callerOf(tenant, principal);
      if (entry?.state.at !== 'parked' || entry.state.why !== 'approval' || caller === undefined)
        return false;
      const result =
        kind === 'workflow'
          ? await (await deps.workflows()).inspect(caller, id)
          : await managed.result(caller, id);
      if (result?.kind !== 'approval_required') return false;
      return (await deps.approvalFor(tenant, result.pending_request_id))?.state !== 'pending';
    },
    async wake({ tenant, payload }, signal) {
      await (await deps.workflows()).wake(tenant, payload, { signal });
      return 'done';
    },
  };
}
