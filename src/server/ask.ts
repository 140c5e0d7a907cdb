// Owns how questions of a downstream server are put to the client of one request. A legacy client is asked while its request
// waits; a modern one is told with the answer to its request and comes back with the next.
//
// E1  What comes back counts for the question that was shown under its key and for no other.
// E2  A client that cannot be asked is not; the server then hears that it was canceled.
import { inputRequired, SdkError, SdkErrorCode } from '@modelcontextprotocol/server';
import type {
  ClientCapabilities,
  InputRequest,
  InputRequiredResult,
  ServerContext,
} from '@modelcontextprotocol/server';
import { startDeadline } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { Question, Reply } from '../kernel/execution/executor.ts';
import type { Era } from './connection.ts';
import type { GateState } from './request-state.ts';
import { LONGEST_WAIT_MS, SDK_LIMIT_MS, startHeartbeat } from './elicit.ts';

/** What a client says that it can answer. */
export interface Answerable {
  elicitsForms: boolean;
  elicitsUrls: boolean;
  samples: boolean;
  tellsRoots: boolean;
}

export function answerable({ elicitation, sampling, roots }: ClientCapabilities): Answerable {
  return {
    // A bare declaration is older than the modes and means forms.
    elicitsForms:
      elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined),
    elicitsUrls: elicitation?.url !== undefined,
    samples: sampling !== undefined,
    tellsRoots: roots !== undefined,
  };
}

export interface AskParts {
  era: Era;
  ctx: ServerContext;
  client: Answerable;
  clock: Clock;
  waitMs: number;
  beat: () => void;
}

/** A question as it goes out: under the server's own key, or ours where it has none. */
export interface Shown {
  key: string;
  question: Question;
}

function readReaction(raw: Record<string, unknown>): Reply {
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

/** What a client said about one question, before anything is believed of it. */
function readReply({ mode }: Question, value: unknown): Reply {
  const raw = isObject(value) ? value : {};
  return mode === 'form' || mode === 'url'
    ? readReaction(raw)
    : { action: 'accept', content: raw as JsonObject };
}

interface Wire {
  method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  params: Record<string, unknown>;
}

function wireRequest(question: Question): Wire {
  const message = `${question.server} asks: ${question.message}`;
  switch (question.mode) {
    case 'form':
      return {
        method: 'elicitation/create',
        params: { mode: 'form', message, requestedSchema: question.schema },
      };
    case 'url': {
      const { url, elicitationId, id } = question;
      const params = { mode: 'url', message, url, elicitationId: elicitationId || id };
      return { method: 'elicitation/create', params };
    }
    case 'sampling':
      return { method: 'sampling/createMessage', params: question.params };
    case 'roots':
      return { method: 'roots/list', params: {} };
  }
}

const INPUT = 'input';

/** Replies that came back with a modern request, by the id of the question that was shown. */
export function returnedReplies(ctx: ServerContext, era: Era): Map<string, unknown> {
  const state = era === 'modern' ? ctx.mcpReq.requestState<GateState>() : undefined;
  if (state === undefined || !('inputs' in state)) return new Map();
  const responses: Record<string, unknown> = ctx.mcpReq.inputResponses ?? {};
  const came = state.inputs.filter(({ key }) => Object.hasOwn(responses, key));
  return new Map(came.map(({ key, id }) => [id, responses[key]]));
}

/** The result that asks. */
export function askResult(shown: readonly Shown[], requestState: string): InputRequiredResult {
  const requests = shown.map(({ key, question }) => [key, inputRequest(question)] as const);
  return inputRequired({ inputRequests: Object.fromEntries(requests), requestState });
}

function inputRequest(question: Question): InputRequest {
  const { params } = wireRequest(question);
  switch (question.mode) {
    case 'form':
      return inputRequired.elicit(params as Parameters<typeof inputRequired.elicit>[0]);
    case 'url': {
      const { message, url } = params as { message: string; url: string };
      return inputRequired.elicitUrl({ message, url });
    }
    case 'sampling':
      return inputRequired.createMessage(
        params as unknown as Parameters<typeof inputRequired.createMessage>[0],
      );
    case 'roots':
      return inputRequired.listRoots();
  }
}

/** The asker of one request. `returned` holds what came back with it, by question. */
export class RequestAsker {
  readonly #parts: AskParts;
  readonly #returned: Map<string, unknown>;
  readonly #open: Shown[] = [];
  #asking: Promise<unknown> | undefined;
  #lacksSampling = false;

  constructor(parts: AskParts, returned: Map<string, unknown>) {
    this.#parts = parts;
    this.#returned = returned;
  }

  /** The questions that have to go out with the answer to this request. */
  open(): readonly Shown[] {
    return this.#open;
  }

  /** Whether the call needed a model and its client lends none. */
  lacksSampling(): boolean {
    return this.#lacksSampling;
  }

  async ask(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later' | 'returned'> {
    if (this.#returned.has(question.id)) {
      const reply = readReply(question, this.#returned.get(question.id));
      // Once: an answer that did not fit is asked for again.
      this.#returned.delete(question.id);
      return reply;
    }
    if (!this.#canAnswer(question)) {
      this.#lacksSampling ||= question.mode === 'sampling';
      return { action: 'cancel', why: 'not_shown' };
    }
    if (this.#parts.era === 'legacy') return this.#oneByOne(question, withdrawn);
    const key = question.key ?? INPUT;
    if (this.#open.some((one) => one.key === key)) return 'later';
    this.#open.push({ key, question });
    return 'returned';
  }

  #canAnswer({ mode }: Question): boolean {
    const { elicitsForms, elicitsUrls, samples, tellsRoots } = this.#parts.client;
    return { form: elicitsForms, url: elicitsUrls, sampling: samples, roots: tellsRoots }[mode];
  }

  /** A person is asked one thing at a time, in the server's order. */
  #oneByOne(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later'> {
    const before = this.#asking ?? Promise.resolve();
    const asked = before.then(() => this.#askHere(question, withdrawn));
    this.#asking = asked;
    return asked;
  }

  async #askHere(question: Question, withdrawn: AbortSignal): Promise<Reply | 'later'> {
    const { ctx, clock, waitMs, beat } = this.#parts;
    const gone = AbortSignal.any([ctx.mcpReq.signal, withdrawn]);
    const deadline = startDeadline(clock, Math.min(waitMs, LONGEST_WAIT_MS), gone);
    const stopHeartbeat = startHeartbeat(clock, beat);
    try {
      // Sent as it is: what the client answers is judged by what its server asked for, and by nothing else.
      const result: unknown = await ctx.mcpReq.send(wireRequest(question), UNCHECKED, {
        signal: deadline.signal,
        timeout: SDK_LIMIT_MS,
      });
      return readReply(question, result);
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
