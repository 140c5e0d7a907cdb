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

export function callName({ context, session, tool, toolCallId }: CallRequest): CallName {
  return { tenant: context.caller.tenant, session: session.id, tool, callId: toolCallId };
}

function nameOf(request: CallRequest): string {
  return keyOf(callName(request));
}

function keyOf({ tenant, session, tool, callId }: CallName): string {
  return JSON.stringify([tenant, session, tool, callId]);
}

interface LeftCall {
  request: CallRequest;
  /** Puts on record what came of it, unless somebody else has settled it; absent: nobody is to be told but `unknown`. */
  record: (() => Promise<unknown>) | undefined;
}

/** Of a call that was left, why it still is. */
export interface UnsettledCall extends CallName {
  error: unknown;
}

export class OwnCalls {
  readonly #running = new Map<string, RunningCall>();
  readonly #left = new Map<string, LeftCall>();

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
  leave(request: CallRequest, record?: LeftCall['record']): void {
    this.#left.set(nameOf(request), { request, record });
  }

  /** Records what came of a call that was left; false: it was not, or nobody may say. Throws what the store says. */
  async record(name: CallName): Promise<boolean> {
    const key = keyOf(name);
    const left = this.#left.get(key);
    if (left?.record === undefined) return false;
    await left.record();
    this.#left.delete(key);
    return true;
  }

  /** Has each that was left recorded, or settled; one that cannot be yet stays for the next time, and its error is told. */
  async settle(settle: (request: CallRequest) => Promise<unknown>): Promise<UnsettledCall[]> {
    const unsettled: UnsettledCall[] = [];
    for (const [name, { request, record }] of this.#left) {
      if (this.#running.has(name)) continue;
      try {
        await (record === undefined ? settle(request) : record());
        this.#left.delete(name);
      } catch (error) {
        unsettled.push({ ...callName(request), error });
      }
    }
    return unsettled;
  }
}
