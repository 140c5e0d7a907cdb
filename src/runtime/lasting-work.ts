// Owns the joining of the queue, the worker and the work that outlives a request; the worker is loaded when it is started.
import type { Clock } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Instance } from '../kernel/instance.ts';
import { createQueue } from '../pack/background/queue.ts';
import type { Queue } from '../pack/background/queue.ts';
import type { Sweep } from '../pack/background/sweep.ts';
import type { Worker } from '../pack/background/worker.ts';
import type { ManagedWork } from '../pack/managed/surface.ts';
import type { Pack } from '../pack/pack.ts';
import type { Workflows } from '../pack/workflows/contract.ts';
import type { Store } from '../store/contract.ts';
import type { Inspection, RuntimeIo } from './contract.ts';
import { configuredCallers, configuredTenants } from './configured-callers.ts';
import type { RuntimeOptions } from './options.ts';
import { createWork } from './work.ts';

export interface LastingParts {
  options: Pick<RuntimeOptions, 'callerOf' | 'tenants' | 'log'>;
  config: RuntimeConfig;
  store: Store;
  clock: Clock;
  kernel: Kernel;
  pack: Pack;
  instance: Instance;
}

export interface LastingWork {
  work: ManagedWork<Caller, RuntimeIo>;
  queue: Queue;
  startWorker(): Promise<Worker>;
  stop(): Promise<void>;
}

export function lastingWork(parts: LastingParts): LastingWork {
  const { options, config, store, clock, kernel, pack, instance } = parts;
  const { maxQueued, maxRunning } = config.runtime.background;
  const { id: agentId } = config.agent;
  const queue = createQueue({ store, clock, maxQueued, agentId });
  const workflows = (): Promise<Workflows> => pack.workflows();
  const approvalFor = (tenant: string, id: string): Promise<Approval | undefined> =>
    kernel.approvalFor(tenant, id);
  const { managed } = pack;
  const work = createWork({ config, store, clock, queue, managed, workflows, approvalFor });
  let worker: Promise<Worker> | undefined;
  let sweep: Sweep | undefined;
  const start = async (): Promise<Worker> => {
    // Loaded with the worker: most processes have none.
    const [{ startWorker }, { startSweep }, { createRuns }] = await Promise.all([
      import('../pack/background/worker.ts'),
      import('../pack/background/sweep.ts'),
      import('./background.ts'),
    ]);
    const callerOf = options.callerOf ?? configuredCallers(config);
    const runs = createRuns({ clock, queue, managed, workflows, callerOf, approvalFor });
    const isAlive = (other: string): Promise<boolean> => instance.isAlive(other);
    const log = options.log === undefined ? {} : { log: options.log };
    sweep = startSweep({
      ...{ store, clock, queue, ...log },
      tenants: options.tenants ?? (() => configuredTenants(config)),
      async recover({ tenant, principal, id, kind }) {
        const caller = callerOf(tenant, principal);
        if (caller === undefined) return false;
        return kind === 'workflow' ? (await workflows()).recover(caller, id) : managed.recover(caller, id);
      },
    });
    const who = { instance: instance.id, agentId };
    return startWorker({ store, clock, queue, runs, ...who, isAlive, maxRunning, ...log });
  };
  return {
    work,
    queue,
    startWorker: () => (worker ??= start()),
    async stop() {
      const started = await worker?.catch(() => undefined);
      await sweep?.stop();
      await started?.stop();
    },
  };
}

/** A session that outlives requests shows, to whom it belongs, how far it came and what it answered. */
export async function withWork(
  work: LastingWork['work'],
  caller: Caller,
  found: Inspection,
): Promise<Inspection> {
  const { kind, id, state } = found;
  if (kind !== 'session' || (state.managed !== true && state.kind !== 'workflow')) return found;
  const answer = await work.work(caller, id).catch(() => undefined); // an operator may look at another's
  return answer === undefined
    ? found
    : { ...found, state: { ...state, work: { ...answer } as unknown as JsonObject } };
}

/** A run in the background that waits for this answer goes on at once; without this, at its worker's next look. */
export async function wakeAfter(
  parts: LastingParts,
  queue: Queue,
  tenant: string,
  approvalId: string,
): Promise<void> {
  const approval = await parts.kernel.approvalFor(tenant, approvalId);
  if (approval === undefined) return;
  const { sessionId } = approval.subject;
  const row = await parts.store.row('session', tenant, sessionId);
  const parent = row?.body.parent;
  const workflow = isObject(parent) ? parent.workflow_id : undefined;
  await queue.nudge(tenant, typeof workflow === 'string' ? workflow : sessionId);
}
