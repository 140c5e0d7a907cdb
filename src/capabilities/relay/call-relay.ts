// Owns what happens between a call's server and the person behind the call: progress, log lines and questions, each on
// record in the order in which it came, and before it is passed on or answered.
//
// R1  A question is on record before anybody is shown it, and its answer before the server gets it.
// R2  What the server is given fits what it asked for; anything else is a cancel, or a refusal where there is no cancel.
// R3  While a question is open the call's deadline stands still; the question's own time does not.
// R4  All questions of a call together stay open for no longer than a run may wait; then its session ends with it.
import type { Deadline } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import type { Ids } from '../../base/ids.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { showCut } from '../../base/text.ts';
import type { CapabilitySessionControls } from '../../config/types.ts';
import type { Redactor } from '../../kernel/evidence/redact.ts';
import type {
  CallIo,
  Execution,
  LogLine,
  Progress,
  Question,
  Reply,
} from '../../kernel/execution/executor.ts';
import type { SchemaCache } from '../../kernel/policy/arg-schema.ts';
import type { InputEnd, OpenInput } from '../sessions/capability-session.ts';
import type { Ledger, SessionKey } from '../sessions/ledger.ts';
import { servedRun } from '../sessions/live.ts';
import type { Refused } from '../sessions/refusals.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { CallEars } from './calls-in-flight.ts';
import { parseNeed, replyFault, resultFor } from './question.ts';
import type { AskedInput, Need } from './question.ts';

export interface RelayParts {
  ledger: Ledger;
  controls: CapabilitySessionControls;
  schemas: SchemaCache;
  clock: Clock;
  ids: Ids;
  redactor: Redactor;
  maxWaitMs: number;
}

export interface RelayedCall {
  key: SessionKey;
  execution: Execution;
  io: CallIo;
  deadline: Deadline;
  server: string;
  /** Puts on record what is asked of nobody. */
  refused: (refused: Refused) => Promise<void>;
}

interface Answered {
  reply: Reply;
  how: InputEnd;
}

const FLUSH_MS = 50;
const MAX_BATCH = 200;
const MAX_LOG_LINES = 200;
const LOG_CHARS = 2000;
const LOG_LEVELS: ReadonlySet<unknown> = new Set([
  ...['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'],
]);

function endOf(reply: Reply): InputEnd {
  if (reply.action === 'accept') return 'accepted';
  if (reply.action === 'decline') return 'declined';
  return reply.why ?? 'canceled';
}

export class CallRelay implements CallEars {
  readonly #parts: RelayParts;
  readonly #call: RelayedCall;
  readonly #over = new AbortController();
  #batch: JsonObject[] = [];
  #cancelFlush: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #asked = 0;
  #waitedMs = 0;
  #waitedUntil = 0;
  #logged = 0;

  constructor(parts: RelayParts, call: RelayedCall) {
    this.#parts = parts;
    this.#call = call;
  }

  progress(progress: Progress): void {
    if (!this.#parts.controls.progress) return;
    this.#note({ ...progress });
    this.#call.io.progress(progress);
  }

  log(params: unknown): void {
    if (!isObject(params) || !LOG_LEVELS.has(params['level']) || ++this.#logged > MAX_LOG_LINES) return;
    const { level, logger, data } = params;
    const text = showCut(typeof data === 'string' ? data : JSON.stringify(data ?? null), LOG_CHARS);
    const line: LogLine = {
      level: level as string,
      ...(typeof logger === 'string' ? { logger: showCut(logger, 100) } : {}),
      data: text,
    };
    this.#note({ log: this.#parts.redactor.object({ ...line }).value });
    this.#call.io.log?.(line);
  }

  /**
   * The results for the server's requests, in order; `needs` are `Need`s. All of them are shown together. Rejects where a
   * refusal is the only answer, and for a store that cannot record.
   */
  async ask(needs: unknown): Promise<Record<string, unknown>[]> {
    const goOn = this.#call.deadline.hold();
    try {
      const asked: { need: Need; open: OpenInput | undefined; input: AskedInput | undefined }[] = [];
      for (const need of needs as readonly Need[]) {
        const input = await this.#judged(need);
        asked.push({ need, input, open: input === undefined ? undefined : await this.#opened(input) });
      }
      return await Promise.all(
        asked.map(async ({ need, input, open }) => {
          const reply: Reply =
            input === undefined || open === undefined
              ? { action: 'cancel' }
              : await this.#askRecorded(open, input);
          return this.#result(need, input, reply);
        }),
      );
    } finally {
      goOn();
    }
  }

  /** Questions may be open together; time counts once. */
  #waited(from: number, until: number): void {
    this.#waitedMs += Math.max(0, until - Math.max(from, this.#waitedUntil));
    this.#waitedUntil = Math.max(until, this.#waitedUntil);
  }

  /** R4. */
  waitedOut(): boolean {
    return this.#waitedMs >= this.#parts.maxWaitMs;
  }

  /** Why a question within its own bounds is put to nobody. */
  async #unaskable(input: AskedInput): Promise<string | undefined> {
    const { controls, schemas } = this.#parts;
    if (++this.#asked > controls.input.maxPerCall || this.waitedOut())
      return 'it asked more often, or for longer, than it may';
    if (input.mode !== 'form') return undefined;
    // A person would answer in vain.
    const prepared = await schemas.prepare(input.schema);
    return 'refused' in prepared ? `its form cannot be checked: ${prepared.refused}` : undefined;
  }

  /** Undefined, with a record of it, for what is not asked. */
  async #judged(need: Need): Promise<AskedInput | undefined> {
    const { input: bounds } = this.#parts.controls;
    const parsed = parseNeed(need, bounds);
    const why = parsed.ok ? await this.#unaskable(parsed.input) : parsed.why;
    if (parsed.ok && why === undefined) return parsed.input;
    await this.#call.refused({
      method: need.method,
      why: why ?? '',
      callId: this.#call.execution.callId,
    });
    return undefined;
  }

  #result({ method }: Need, input: AskedInput | undefined, reply: Reply): Record<string, unknown> {
    const result = input === undefined ? undefined : resultFor(input, reply);
    if (result !== undefined) return result;
    if (method === 'elicitation/create') return { action: 'cancel' };
    throw new RuntimeError('POLICY_DENIED', `${method} has no answer: nobody gave one`);
  }

  /** Withdraws what is open, and waits until everything is on record. */
  async end(): Promise<void> {
    if (this.#asked > 0) this.#over.abort(); // an abort costs more than the rest of a call's end
    this.#flush();
    await this.#writing;
  }

  /** R1. Undefined when the session takes no question any more. */
  async #opened(input: AskedInput): Promise<OpenInput | undefined> {
    const { ledger, redactor } = this.#parts;
    const { execution, key } = this.#call;
    this.#flush();
    await this.#writing;
    const open = this.#opening(input);
    const { message } = input;
    const evidence = redactor.object({ message, ...shownOf(input), call_id: execution.callId }).value;
    const run = servedRun(execution.context);
    const asked = await ledger.move(
      key,
      { type: 'capability_input_requested', input: open, run, at: open.askedAt },
      { evidence: { ...evidence, run_id: run.runId }, sealed: { ...input } as unknown as JsonValue },
    );
    return asked.ok ? open : undefined;
  }

  /** R1. */
  async #askRecorded(open: OpenInput, input: AskedInput): Promise<Reply> {
    const { ledger, clock, redactor, controls } = this.#parts;
    const { execution, key } = this.#call;
    const { reply, how } = await this.#checkedReply(this.#question(open, input), input);
    const content =
      reply.action === 'accept' && reply.content !== undefined ? { content: reply.content } : {};
    const at = how === 'timed_out' ? Math.max(open.openUntil, clock.now()) : clock.now();
    this.#waited(open.askedAt, at);
    await ledger.move(
      key,
      {
        type: 'capability_input_closed',
        inputId: open.inputId,
        how,
        expiresAt: at + controls.idleSeconds * 1000,
        at,
      },
      {
        evidence: { call_id: execution.callId, action: reply.action, ...redactor.object(content).value },
        sealed: content,
      },
    );
    return reply;
  }

  #opening(input: AskedInput): OpenInput {
    const { ids, clock, controls, maxWaitMs } = this.#parts;
    const { execution } = this.#call;
    const askedAt = clock.now();
    return {
      inputId: ids.next('inp'),
      callId: execution.callId,
      runId: execution.context.runId,
      mode: input.mode,
      askedAt,
      openUntil: askedAt + Math.min(controls.input.openSeconds * 1000, maxWaitMs - this.#waitedMs),
    };
  }

  #question(open: OpenInput, input: AskedInput): Question {
    return {
      id: open.inputId,
      capabilitySessionId: this.#call.key.id,
      server: this.#call.server,
      openUntil: open.openUntil,
      ...input,
    };
  }

  /** R2: one that does not fit is asked for once more. */
  async #checkedReply(question: Question, input: AskedInput): Promise<Answered> {
    const { schemas, controls, clock } = this.#parts;
    const limit = new AbortController();
    const cancelTimer = clock.after(Math.max(0, question.openUntil - clock.now()), () => limit.abort());
    const withdrawn = AbortSignal.any([this.#over.signal, this.#call.deadline.signal, limit.signal]);
    const ended = (): Answered => ({
      reply: { action: 'cancel' },
      how: limit.signal.aborted ? 'timed_out' : 'withdrawn',
    });
    try {
      for (let tries = 0; tries < 2; tries++) {
        const reply = await this.#replyTo(question, withdrawn);
        if (reply === undefined) return ended();
        if ((await replyFault(input, reply, { schemas, bounds: controls.input })) === undefined) {
          return { reply, how: endOf(reply) };
        }
      }
      return { reply: { action: 'cancel' }, how: 'invalid_answer' };
    } finally {
      cancelTimer();
    }
  }

  /** Undefined when the question was withdrawn first. */
  async #replyTo(question: Question, withdrawn: AbortSignal): Promise<Reply | undefined> {
    const { ask } = this.#call.io;
    if (withdrawn.aborted) return undefined;
    if (ask === undefined) return { action: 'cancel', why: 'not_shown' };
    let onAbort = (): void => undefined;
    const gone = new Promise<undefined>((resolve) => {
      onAbort = () => resolve(undefined);
    });
    withdrawn.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([ask(question, withdrawn), gone]);
    } catch {
      return { action: 'cancel', why: 'not_shown' };
    } finally {
      withdrawn.removeEventListener('abort', onAbort);
    }
  }

  #note(item: JsonObject): void {
    this.#batch.push(item);
    if (this.#batch.length >= MAX_BATCH) this.#flush();
    else this.#cancelFlush ??= this.#parts.clock.after(FLUSH_MS, () => this.#flush());
  }

  /** One record holds what came since the last, in order. */
  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const items = this.#batch;
    if (items.length === 0) return;
    this.#batch = [];
    const { ledger, redactor } = this.#parts;
    const { key, execution } = this.#call;
    const facts = redactor.object({ items }).value;
    const of = { call_id: execution.callId, run_id: execution.context.runId, ...facts };
    this.#writing = this.#writing
      .then(() => ledger.note(key, 'capability_progress_reported', of))
      // What could not be recorded is said by the store itself; the call's own end still has to be.
      .catch(() => undefined);
  }
}

/** What evidence says of a question beside its message. */
function shownOf(input: AskedInput): JsonObject {
  switch (input.mode) {
    case 'form':
      return { schema: input.schema };
    case 'url':
      return { url: withoutQuery(input.url) };
    case 'sampling':
      return { params: input.params };
    case 'roots':
      return {};
  }
}

/** A query may hold a secret of the person's; evidence does without. */
function withoutQuery(text: string): string {
  const url = new URL(text);
  return url.search === '' ? `${url.origin}${url.pathname}` : `${url.origin}${url.pathname}?…`;
}
