// Owns how a process says that it lives: for how long each sign of it counts, and what is done beside it.
import { asRuntimeError } from '../base/errors.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { InstanceOptions } from '../kernel/instance.ts';
import type { Log, RuntimeOptions } from './options.ts';

const INSTANCE_LEASE_MS = 30_000;

export function leaseOf({
  instanceLeaseMs = INSTANCE_LEASE_MS,
}: Pick<RuntimeOptions, 'instanceLeaseMs'>): number {
  return instanceLeaseMs;
}

/** What was left of calls is settled beside the sign of life; the operator is told what does not go in. */
export function signsOfLife(kernel: () => Kernel, log: Log): Pick<InstanceOptions, 'renewed' | 'failed'> {
  return {
    async renewed() {
      for (const { session, tool, callId, error } of await kernel().settleLeft()) {
        const about = { session_id: session, tool, tool_call_id: callId };
        const { message } = asRuntimeError(error);
        log('error', 'what came of a call is not on record yet', { ...about, error: message });
      }
    },
    failed: (thrown) => {
      const { message } = asRuntimeError(thrown);
      log(
        'error',
        'the sign of life, or what goes with it, failed; where it lasts others take this process for gone',
        {
          error: message,
        },
      );
    },
  };
}
