// Owns which calls this process runs, and those it ran whose outcome could not be recorded, until they are settled.
import type { Series } from '../base/series.ts';
import type { CallRequest, CallResult } from './call.ts';

export interface RunningCall {
  result: Promise<CallResult>;
  /** Of whoever began it. */
  series: Series | undefined;
}

/** What a call is found by: the same call is the same tenant, session, tool and id; anybody else's equal id is a stranger's. */
export interface CallName {
  tenant: string;
  session: string;
  tool: string;
  callId: string;
}

function nameOf({ context, session, tool, toolCallId }: CallRequest): string {
  return keyOf({ tenant: context.caller.tenant, session: session.id, tool, callId: toolCallId });
}

function keyOf({ tenant, session, tool, callId }: CallName): string {
  return JSON.stringify([tenant, session, tool, callId]);
}

export class OwnCalls {
  readonly #running = new Map<string, RunningCall>();
  readonly #left = new Map<string, CallRequest>();

  running(request: CallRequest): RunningCall | undefined {
    return this.#running.get(nameOf(request));
  }

  isRunning(name: CallName): boolean {
    return this.#running.has(keyOf(name));
  }

  async run(
    request: CallRequest,
    result: Promise<CallResult>,
    series: Series | undefined,
  ): Promise<CallResult> {
    const name = nameOf(request);
    this.#running.set(name, { result, series });
    try {
      return await result;
    } finally {
      this.#running.delete(name);
    }
  }

  /** It ran, and its outcome is not on record. */
  leave(request: CallRequest): void {
    this.#left.set(nameOf(request), request);
  }

  /** Has each that was left settled; one that cannot be yet stays for the next time. */
  async settle(settle: (request: CallRequest) => Promise<unknown>): Promise<void> {
    for (const [name, request] of this.#left) {
      if (this.#running.has(name)) continue;
      try {
        await settle(request);
        this.#left.delete(name);
      } catch {
        // It is tried again the next time.
      }
    }
  }
}
