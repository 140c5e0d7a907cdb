// Owns the line between a running call and whoever asks for it now: a call outlives the request that began it when it waits
// for a person, and the next request for the same call takes its place on the line.
//
// N1  One call has one line, whichever requests come for it; the latest request hears and is asked.
// N2  A request that ends while its call waits for a person leaves the call waiting; one that ends otherwise ends the call.
// N3  A question that the request at hand cannot put is kept for the next; the call answers `input_required` meanwhile.
import { Endable } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { isoTime } from '../base/clock.ts';
import type { Ledger } from '../capabilities/sessions/ledger.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { CallRequest, CallResult } from '../kernel/call.ts';
import type { CallIo, Question, Reply } from '../kernel/execution/executor.ts';
import type { RequestBody } from '../kernel/evidence/receipts.ts';
import type { Store } from '../store/contract.ts';
import type { Series } from '../base/series.ts';
import { callAnswer } from './call-answer.ts';
import type { CallAnswer, InputTicket, RuntimeIo } from './contract.ts';

export interface LineParts {
  store: Store;
  clock: Clock;
  ledger: Ledger;
  config: RuntimeConfig;
  /** The lines of this process, where calls may be under way that were begun under another configuration (N1). */
  open: OpenLines | undefined;
}

interface Waiting {
  question: Question;
  withdrawn: AbortSignal;
  answer(reply: Reply): void;
}

/** What a request's wait comes to: the call's end, or a question that stays open beyond the request. */
type Met = { kind: 'ended'; result: CallResult } | { kind: 'parked'; question: Question; offered: boolean };

class Line {
  /** Of the request that began the call. */
  readonly series: Series | undefined;
  readonly #ending = new Endable();
  #io: RuntimeIo;
  #detach: () => void = () => undefined;
  #waiting: Waiting[] = [];
  #park: ((met: Met) => void) | undefined;

  constructor(io: RuntimeIo) {
    this.#io = io;
    this.series = io.series;
  }

  /** N1. Resolves when the call ends, or stays open beyond this request. */
  meet(io: RuntimeIo, running: Promise<CallResult>): Promise<Met> {
    this.#detach();
    this.#io = io;
    const onAbort = (): void => this.#ending.end(io.signal.reason);
    if (io.signal.aborted) onAbort();
    io.signal.addEventListener('abort', onAbort, { once: true });
    this.#detach = () => io.signal.removeEventListener('abort', onAbort);
    return new Promise<Met>((resolve, reject) => {
      this.#park = resolve;
      for (const waiting of this.#waiting) void this.#put(waiting);
      running.then((result) => {
        resolve({ kind: 'ended', result });
      }, reject);
    });
  }

  /** A signal may outlive the call by far. */
  end(): void {
    this.#detach();
  }

  callIo(): CallIo {
    const ending = this.#ending;
    return {
      progress: (progress) => this.#io.progress?.(progress),
      log: (line) => this.#io.log?.(line),
      ask: (question, withdrawn) => this.#ask(question, withdrawn),
      ending,
      get signal() {
        return ending.signal;
      },
      ...(this.series === undefined ? {} : { series: this.series }),
    };
  }

  #ask(question: Question, withdrawn: AbortSignal): Promise<Reply> {
    return new Promise<Reply>((resolve) => {
      const waiting: Waiting = {
        question,
        withdrawn,
        answer: (reply) => {
          this.#waiting = this.#waiting.filter((one) => one !== waiting);
          resolve(reply);
        },
      };
      withdrawn.addEventListener('abort', () => waiting.answer({ action: 'cancel' }), { once: true });
      this.#waiting.push(waiting);
      void this.#put(waiting);
    });
  }

  async #put(waiting: Waiting): Promise<void> {
    const io = this.#io;
    if (io.ask === undefined) {
      waiting.answer({ action: 'cancel', why: 'not_shown' });
      return;
    }
    const reply = await io.ask(waiting.question, waiting.withdrawn).catch(() => 'later' as const);
    if (io !== this.#io) return;
    if (reply !== 'later' && reply !== 'returned') {
      waiting.answer(reply);
      return;
    }
    // N2, N3.
    this.#detach();
    this.#park?.({ kind: 'parked', question: waiting.question, offered: reply === 'returned' });
  }
}

interface OpenLine {
  line: Line;
  running: Promise<CallResult>;
}

export type OpenLines = Map<string, OpenLine>;

export class CallLines {
  readonly #parts: LineParts;
  readonly #lines: OpenLines;
  /** Of those lines, what was begun here. */
  readonly #begun = new Map<Line, Promise<CallResult>>();

  constructor(parts: LineParts) {
    this.#parts = parts;
    this.#lines = parts.open ?? new Map<string, OpenLine>();
  }

  get lines(): OpenLines {
    return this.#lines;
  }

  /** Resolves when no call that was begun here is under way, with whoever is on its line. */
  async settled(): Promise<void> {
    while (this.#begun.size > 0) await Promise.allSettled(this.#begun.values());
  }

  /** Runs the call, or joins it where it waits. */
  async run(
    request: CallRequest,
    io: RuntimeIo,
    begin: (io: CallIo) => Promise<CallResult>,
  ): Promise<CallAnswer> {
    const { caller } = request.context;
    const key = JSON.stringify([caller.tenant, request.session.id, request.tool, request.toolCallId]);
    let open = this.#lines.get(key);
    if (open === undefined) {
      const line = new Line(io);
      const running = this.#carry(key, line, begin(line.callIo()));
      open = { line, running };
      this.#lines.set(key, open);
      this.#begun.set(line, running);
    }
    const met = await open.line.meet(io, open.running);
    const { series } = open.line;
    // Told early to whoever began it: whoever joined waits for the disk, and hears of it if it was undone.
    if (series !== io.series) await series?.settled();
    return met.kind === 'ended'
      ? callAnswer(request, met.result, this.#parts.config.controls.capabilitySessions)
      : this.#parkedAnswer(request, met);
  }

  async #carry(key: string, line: Line, call: Promise<CallResult>): Promise<CallResult> {
    try {
      return await call;
    } finally {
      line.end();
      this.#lines.delete(key);
      this.#begun.delete(line);
    }
  }

  async #parkedAnswer(request: CallRequest, met: Met & { kind: 'parked' }): Promise<CallAnswer> {
    const { store, ledger, config } = this.#parts;
    const { question } = met;
    const { caller, runId, traceId } = request.context;
    const row = await store.row('request', caller.tenant, request.toolCallId);
    const decision = (row?.body as unknown as RequestBody | undefined)?.decision ?? {};
    const key = { tenant: caller.tenant, id: question.capabilitySessionId };
    const { resumeAllowed, trackIds } = config.controls.capabilitySessions;
    // Whoever was shown it comes back by itself; anybody else needs a token to.
    const token =
      met.offered || !resumeAllowed
        ? undefined
        : await ledger.offer(key, { runId, callId: request.toolCallId, until: question.openUntil });
    return {
      status: 'input_required',
      decision: recordedView(decision),
      input: inputTicket(question),
      ...(trackIds ? { capability_session_id: question.capabilitySessionId } : {}),
      ...(token === undefined ? {} : { resume_token: token }),
      receipt_ids: [],
      side_effect_status: 'side_effect_unknown',
      tool: request.tool,
      tool_call_id: request.toolCallId,
      session_id: request.session.id,
      run_id: runId,
      trace_id: traceId,
    };
  }
}

function recordedView(facts: RequestBody['decision']): CallAnswer['decision'] {
  const { decision, rule_id: ruleId, layer, reasons, policy_digest: digest } = facts;
  return {
    decision: decision as CallAnswer['decision']['decision'],
    rule_id: ruleId as CallAnswer['decision']['rule_id'],
    layer: layer as CallAnswer['decision']['layer'],
    reasons: (reasons ?? []) as string[],
    policy_digest: digest as string,
  };
}

function inputTicket(question: Question): InputTicket {
  return {
    input_id: question.id,
    server: question.server,
    mode: question.mode,
    message: question.message,
    ...(question.mode === 'form' ? { requested_schema: question.schema } : {}),
    ...(question.mode === 'url' ? { url: question.url } : {}),
    answer_by: isoTime(question.openUntil),
  };
}
