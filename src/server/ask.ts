// Owns how a question of a downstream server is put to the client of one request. A legacy client is asked while its request
// waits; a modern one is told with the answer to its request and comes back with the next.
//
// E1  What comes back counts for the question that was shown and for no other.
// E2  A client that cannot be asked is not; the server then hears that it was canceled.
import { inputRequired, SdkError, SdkErrorCode } from '@modelcontextprotocol/server';
import type { InputRequest, InputRequiredResult, ServerContext } from '@modelcontextprotocol/server';
import { startDeadline } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { Question, Reply } from '../kernel/execution/executor.ts';
import type { Era } from './connection.ts';
import type { GateState } from './request-state.ts';
import { LONGEST_WAIT_MS, SDK_LIMIT_MS, startHeartbeat } from './elicit.ts';

export interface AskParts {
  era: Era;
  ctx: ServerContext;
  client: { elicitsForms: boolean; elicitsUrls: boolean };
  clock: Clock;
  waitMs: number;
  beat: () => void;
}

/** What a client said about one question, before anything is believed of it. */
function readReply(value: unknown): Reply {
  const raw = isObject(value) ? value : {};
  switch (raw['action']) {
    case 'accept':
      return isObject(raw['content'])
        ? { action: 'accept', content: raw['content'] as JsonObject }
        : { action: 'accept' };
    case 'decline':
      return { action: 'decline' };
    default:
      return { action: 'cancel' };
  }
}

function elicitParams(question: Question): Record<string, unknown> {
  const message = `${question.server} asks: ${question.message}`;
  return question.mode === 'form'
    ? { mode: 'form', message, requestedSchema: question.schema }
    : { mode: 'url', message, url: question.url, elicitationId: question.elicitationId || question.id };
}

const INPUT = 'input';

/** What came back with a modern request, if it was sent to answer a question. */
export function returnedReplies(ctx: ServerContext, era: Era): Map<string, Reply> {
  const state = era === 'modern' ? ctx.mcpReq.requestState<GateState>() : undefined;
  const reply = ctx.mcpReq.inputResponses?.[INPUT];
  if (state === undefined || !('input_id' in state) || reply === undefined) return new Map();
  return new Map([[state.input_id, readReply(reply)]]);
}

/** The result that asks. */
export function askResult(question: Question, requestState: string): InputRequiredResult {
  return inputRequired({ inputRequests: { [INPUT]: inputRequest(question) }, requestState });
}

function inputRequest(question: Question): InputRequest {
  const { message, ...rest } = elicitParams(question) as {
    message: string;
    url: string;
    requestedSchema: never;
  };
  return question.mode === 'form'
    ? inputRequired.elicit({ message, requestedSchema: rest.requestedSchema })
    : inputRequired.elicitUrl({ message, url: rest.url });
}

/** The asker of one request. `returned` holds what came back with it, by question. */
export class RequestAsker {
  readonly #parts: AskParts;
  readonly #returned: Map<string, Reply>;
  #open: Question | undefined;

  constructor(parts: AskParts, returned: Map<string, Reply>) {
    this.#parts = parts;
    this.#returned = returned;
  }

  /** The question that has to go out with the answer to this request. */
  open(): Question | undefined {
    return this.#open;
  }

  async ask(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later' | 'returned'> {
    const back = this.#returned.get(question.id);
    // Once: an answer that did not fit is asked for again.
    this.#returned.delete(question.id);
    if (back !== undefined) return back;
    const { era, client } = this.#parts;
    const canShow = question.mode === 'form' ? client.elicitsForms : client.elicitsUrls;
    if (!canShow) return { action: 'cancel', why: 'not_shown' };
    if (era === 'legacy') return this.#askHere(question, withdrawn);
    this.#open ??= question;
    return this.#open === question ? 'returned' : 'later';
  }

  async #askHere(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later'> {
    const { ctx, clock, waitMs, beat } = this.#parts;
    const gone = AbortSignal.any([ctx.mcpReq.signal, withdrawn]);
    const deadline = startDeadline(clock, Math.min(waitMs, LONGEST_WAIT_MS), gone);
    const stopHeartbeat = startHeartbeat(clock, beat);
    try {
      // Sent as it is: what the client answers is judged by the form that its server asked for, and by nothing else.
      const params = elicitParams(question) as { message: string };
      const result: unknown = await ctx.mcpReq.send({ method: 'elicitation/create', params }, UNCHECKED, {
        signal: deadline.signal,
        timeout: SDK_LIMIT_MS,
      });
      return readReply(result);
    } catch (thrown) {
      if (deadline.timedOut()) return 'later';
      const isMalformed = thrown instanceof SdkError && thrown.code === SdkErrorCode.InvalidResult;
      return isMalformed ? { action: 'accept' } : { action: 'cancel', why: 'not_shown' };
    } finally {
      stopHeartbeat();
      deadline.done();
    }
  }
}

const UNCHECKED = {
  '~standard': {
    version: 1 as const,
    vendor: 'agent-runtime',
    validate: (value: unknown): { value: unknown } => ({ value }),
  },
};
