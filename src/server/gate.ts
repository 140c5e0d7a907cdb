// Owns the approval gate: the one path by which a governed call of a client is run, asked about and run again.
//
// G1  The runtime decides; nothing here makes a permission. A client's reaction becomes a Delivery, and the runtime says
//     whether it moved the approval.
// G2  Nothing before the gate has an effect: a modern client sends its request again, and the whole handler runs again.
// G3  A returned answer counts for one call only: its nonce is spent once, and tool, arguments and what was shown must
//     be the same.
// G4  One request asks at most once, and a digest is never open twice on one connection.
import { inputRequired, inputResponse } from '@modelcontextprotocol/server';
import type { InputRequiredResult, ServerContext } from '@modelcontextprotocol/server';
import { digestJson } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import { checkJson } from '../base/json.ts';
import type { Answerer, ApprovalState, Delivery } from '../kernel/approvals/approval.ts';
import type { ApprovalPrompt, CallAnswer } from '../runtime/contract.ts';
import type { Era, ServerParts } from './connection.ts';
import { APPROVAL_FORM, readReaction } from './delivery.ts';
import { askLegacy } from './elicit.ts';
import { askResult } from './ask.ts';
import type { RequestAsker } from './ask.ts';
import { STATE_LIFETIME_MS } from './request-state.ts';
import type { AskedState, GateState, InputState, RequestStates } from './request-state.ts';

/** A call that may have to wait for a person. `run` with the id of the first run is the same call. */
export interface GovernedCall {
  tool: string;
  args: unknown;
  run(toolCallId?: string): Promise<CallAnswer>;
}

/** The request that carries the call. */
export interface Round {
  era: Era;
  ctx: ServerContext;
  client: { name?: string; elicitsForms: boolean };
  beat(): void;
  asker?: RequestAsker;
}

export type GateOutcome =
  { kind: 'answer'; answer: CallAnswer; note?: string } | { kind: 'ask'; result: InputRequiredResult };

export interface Gate {
  governed(call: GovernedCall, round: Round): Promise<GateOutcome>;
  /** Records that open questions got no answer. */
  close(): Promise<void>;
}

const QUESTION = 'approval';

/** A digest somebody may be looking at. A modern question has no request that ends it, so it can be given up. */
interface OpenQuestion {
  settle(): void;
  giveUp?(): Promise<void>;
}

export class ApprovalGate implements Gate {
  readonly #parts: ServerParts;
  readonly #states: RequestStates;
  readonly #open = new Map<string, OpenQuestion>();

  constructor(parts: ServerParts, states: RequestStates) {
    this.#parts = parts;
    this.#states = states;
  }

  async governed(call: GovernedCall, round: Round): Promise<GateOutcome> {
    const returned = round.era === 'modern' ? round.ctx.mcpReq.requestState<GateState>() : undefined;
    if (returned !== undefined) {
      this.#spend(call, returned);
      // The answer itself came to the asker of this request; the call that waits for it takes it from there.
      return 'inputs' in returned
        ? this.#told(call, round, await call.run(returned.tool_call_id))
        : this.#onReturn(call, round, returned);
    }

    const answer = await call.run();
    if (answer.status !== 'approval_required' || answer.approval === undefined) {
      return this.#told(call, round, answer);
    }
    const prompt = await this.#promptFor(answer.approval.approval_id);
    if (prompt === undefined || !prompt.askable || this.#open.has(prompt.action_digest)) {
      return { kind: 'answer', answer };
    }
    if (round.era === 'modern' && round.client.elicitsForms) {
      return this.#askModern(call, round, { answer, prompt });
    }
    const delivery = await this.#askHere(round, prompt);
    const { state, note } = await this.#deliver(prompt.approval_id, delivery, round);
    if (state === 'pending') return { kind: 'answer', answer, ...note };
    return this.#told(call, round, await call.run(answer.tool_call_id), note);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(async (question) => question.giveUp?.()));
  }

  /** G3. */
  #spend(call: GovernedCall, state: GateState): void {
    const of = 'inputs' in state ? { input_id: state.inputs[0]?.id } : { approval_id: state.approval_id };
    if (state.call_digest !== callDigest(call)) {
      throw new RuntimeError('INVALID_INPUT', 'The answer belongs to a call with other arguments.', {
        field: '/requestState',
      });
    }
    if (!this.#states.spend(state)) {
      throw new RuntimeError('APPROVAL_NOT_PENDING', 'This answer has already been used.', of);
    }
  }

  /** A call that waits for an answer to its server's question goes out with the question, where the client takes it so. */
  async #told(
    call: GovernedCall,
    round: Round,
    answer: CallAnswer,
    note: { note?: string } = {},
  ): Promise<GateOutcome> {
    const questions = round.asker?.open() ?? [];
    if (answer.status !== 'input_required' || questions.length === 0) {
      return { kind: 'answer', answer, ...note };
    }
    const { clock, ids } = this.#parts;
    const state: InputState = {
      inputs: questions.map(({ key, question }) => ({ key, id: question.id })),
      call_digest: callDigest(call),
      tool_call_id: answer.tool_call_id,
      nonce: Buffer.from(ids.bytes(16)).toString('base64url'),
      shown_at: clock.now(),
    };
    const requestState = await this.#states.mint(state, round.ctx);
    return { kind: 'ask', result: askResult(questions, requestState) };
  }

  async #onReturn(call: GovernedCall, round: Round, state: AskedState): Promise<GateOutcome> {
    const approval = { approval_id: state.approval_id };
    this.#open.get(state.action_digest)?.settle();
    const prompt = await this.#promptFor(state.approval_id);
    let note: { note?: string } = {};
    if (prompt !== undefined) {
      if (prompt.action_digest !== state.action_digest) {
        throw new RuntimeError('CONFLICT', 'What was shown is not what would run now.', approval);
      }
      const view = inputResponse(round.ctx.mcpReq.inputResponses, QUESTION);
      const latencyMs = Math.max(0, this.#parts.clock.now() - state.shown_at);
      const delivery = readReaction(view.kind === 'elicit' ? view : undefined, latencyMs);
      ({ note } = await this.#deliver(state.approval_id, delivery, round));
    }
    // Answered or not, the runtime says what holds now; G4 keeps this request from asking again.
    return this.#told(call, round, await call.run(state.tool_call_id), note);
  }

  async #askModern(
    call: GovernedCall,
    round: Round,
    asked: { answer: CallAnswer; prompt: ApprovalPrompt },
  ): Promise<GateOutcome> {
    const { prompt } = asked;
    const { clock, ids } = this.#parts;
    const state: AskedState = {
      approval_id: prompt.approval_id,
      action_digest: prompt.action_digest,
      call_digest: callDigest(call),
      tool_call_id: asked.answer.tool_call_id,
      nonce: Buffer.from(ids.bytes(16)).toString('base64url'),
      shown_at: clock.now(),
    };
    // Open before the first wait, or a twin of this call would be asked too (G4).
    this.#keepOpen(state, round);
    const requestState = await this.#states.mint(state, round.ctx);
    const question = inputRequired.elicit({ message: prompt.text, requestedSchema: APPROVAL_FORM });
    return {
      kind: 'ask',
      result: inputRequired({ inputRequests: { [QUESTION]: question }, requestState }),
    };
  }

  /** A modern client that never comes back has not answered; that is recorded like any other outcome. */
  #keepOpen(state: AskedState, round: Round): void {
    const { clock, log } = this.#parts;
    const settle = (): void => {
      cancelTimer();
      this.#open.delete(state.action_digest);
    };
    const giveUp = async (): Promise<void> => {
      settle();
      const delivery: Delivery = { kind: 'timed_out', latencyMs: clock.now() - state.shown_at };
      try {
        await this.#deliver(state.approval_id, delivery, round);
      } catch (error) {
        log('warn', 'an unanswered approval question was not recorded', { error });
      }
    };
    const cancelTimer = clock.after(STATE_LIFETIME_MS, () => void giveUp());
    this.#open.set(state.action_digest, { settle, giveUp });
  }

  async #askHere(round: Round, prompt: ApprovalPrompt): Promise<Delivery> {
    if (!round.client.elicitsForms) return { kind: 'not_shown', why: 'no_capability', latencyMs: 0 };
    const settle = (): void => void this.#open.delete(prompt.action_digest);
    this.#open.set(prompt.action_digest, { settle });
    try {
      return await askLegacy(round.ctx, {
        text: prompt.text,
        waitMs: this.#parts.runtime.config.runtime.elicitationWaitMs,
        clock: this.#parts.clock,
        beat: () => round.beat(),
      });
    } finally {
      settle();
    }
  }

  async #promptFor(approvalId: string): Promise<ApprovalPrompt | undefined> {
    try {
      return await this.#parts.runtime.approvalPrompt(this.#parts.caller, approvalId);
    } catch (thrown) {
      // It ended, or was answered elsewhere, in between; running the call again says which.
      if (thrown instanceof RuntimeError && thrown.code === 'NOT_FOUND') return undefined;
      throw thrown;
    }
  }

  async #deliver(
    approvalId: string,
    delivery: Delivery,
    round: Round,
  ): Promise<{ state: ApprovalState; note: { note?: string } }> {
    const { runtime, caller } = this.#parts;
    const answerer: Answerer = {
      tenant: caller.tenant,
      principal: caller.principal,
      roles: caller.roles,
      attestation: 'client',
      channel: 'elicitation',
      ...(round.client.name === undefined ? {} : { clientName: round.client.name }),
    };
    const made = await runtime.deliverApproval(answerer, approvalId, delivery, caller.actor);
    const ignored = delivery.kind === 'answered' && !made.moved && made.why !== undefined;
    return { state: made.state, note: ignored ? { note: `The answer did not count: ${made.why}.` } : {} };
  }
}

function callDigest(call: GovernedCall): string {
  return digestJson(checkJson({ tool: call.tool, args: call.args ?? {} }));
}
