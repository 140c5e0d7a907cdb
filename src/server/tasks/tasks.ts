// Owns the methods tasks/get, tasks/update and tasks/cancel of one modern connection. The durable run is the task; here is
// only what this client was shown, so that its answer can be told from one that nobody gave.
import type { McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Answerer } from '../../kernel/approvals/approval.ts';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Connection, ServerParts } from '../connection.ts';
import { readReaction } from '../delivery.ts';
import type { Reaction } from '../delivery.ts';
import { invalidParams } from '../errors.ts';
import { detailedTask } from './task-view.ts';
import type { TaskQuestion } from './task-view.ts';

const MOST_SHOWN = 1000;

interface Shown {
  approvalId: string;
  at: number;
}

const named = z.object({ taskId: z.string().min(1).max(200) });
const update = named.extend({ inputResponses: z.record(z.string(), z.unknown()).optional() });
const reaction = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z.unknown().optional(),
});

function pendingApprovals(answer: WorkAnswer): string[] {
  const listed = answer.waiting?.map((one) => one.pending_request_id) ?? [];
  const own = answer.pending_request_id;
  return own === undefined || listed.includes(own) ? listed : [own, ...listed];
}

/** Held for as long as its connection, which over HTTP is many requests. */
export class TaskDesk {
  readonly #connection: ServerParts;
  /** Questions this connection was shown, by key. A key holds for this connection only. */
  readonly #shown = new Map<string, Shown>();
  readonly #nonce: string;

  constructor(connection: ServerParts) {
    this.#connection = connection;
    this.#nonce = Buffer.from(connection.ids.bytes(6)).toString('base64url');
  }

  async get(taskId: string): Promise<Record<string, unknown>> {
    const answer = await this.#work(taskId);
    const questions = answer.kind === 'approval_required' ? await this.#questions(answer) : [];
    return detailedTask(answer, questions);
  }

  async update(taskId: string, responses: Record<string, unknown>, clientName?: string): Promise<void> {
    const waiting = new Set(pendingApprovals(await this.#work(taskId)));
    for (const [key, response] of Object.entries(responses)) {
      const shown = this.#shown.get(key);
      if (shown === undefined || !waiting.has(shown.approvalId)) continue; // not ours, or answered elsewhere
      this.#shown.delete(key);
      const parsed = reaction.safeParse(response);
      await this.#deliver(shown, parsed.success ? parsed.data : undefined, clientName);
    }
  }

  async cancel(taskId: string): Promise<void> {
    const { runtime, caller } = this.#connection;
    await this.#work(taskId);
    await runtime.cancel(caller, { session_id: taskId, reason: 'canceled by the client' });
  }

  /** Foreign, unknown and malformed ids are one answer. */
  async #work(taskId: string): Promise<WorkAnswer> {
    const { runtime, caller } = this.#connection;
    try {
      return await runtime.work(caller, taskId);
    } catch (thrown) {
      if (thrown instanceof RuntimeError && thrown.code === 'NOT_FOUND') throw invalidParams('Unknown task');
      throw thrown;
    }
  }

  async #questions(answer: WorkAnswer): Promise<TaskQuestion[]> {
    const { runtime, caller, clock } = this.#connection;
    const questions: TaskQuestion[] = [];
    for (const approvalId of pendingApprovals(answer)) {
      const prompt = await runtime.approvalPrompt(caller, approvalId).catch(() => undefined);
      if (prompt?.askable !== true) continue;
      const key = `${approvalId}.${this.#nonce}`;
      if (!this.#shown.has(key)) this.#show(key, { approvalId, at: clock.now() });
      questions.push({ key, text: prompt.text });
    }
    return questions;
  }

  #show(key: string, shown: Shown): void {
    const oldest = this.#shown.size >= MOST_SHOWN ? this.#shown.keys().next().value : undefined;
    if (oldest !== undefined) this.#shown.delete(oldest);
    this.#shown.set(key, shown);
  }

  async #deliver(shown: Shown, given: Reaction | undefined, clientName: string | undefined): Promise<void> {
    const { runtime, caller, clock } = this.#connection;
    const answerer: Answerer = {
      tenant: caller.tenant,
      principal: caller.principal,
      roles: caller.roles,
      attestation: 'client',
      channel: 'elicitation',
      ...(clientName === undefined ? {} : { clientName }),
    };
    const delivery = readReaction(given, Math.max(0, clock.now() - shown.at));
    await runtime.deliverApproval(answerer, shown.approvalId, delivery, caller.actor);
  }
}

/** Registers the three methods. Only modern connections reach them: the SDK refuses them on legacy ones. */
export function serveTasks(
  server: McpServer,
  connection: Connection,
  clientName: (ctx: ServerContext) => string | undefined,
): void {
  const desk = connection.tasks;
  server.server.setRequestHandler('tasks/get', { params: named }, ({ taskId }) => desk.get(taskId));
  server.server.setRequestHandler('tasks/update', { params: update }, async (params, ctx) => {
    // The SDK takes the responses out of the parameters of every method.
    const responses = params.inputResponses ?? ctx.mcpReq.inputResponses ?? {};
    await desk.update(params.taskId, responses, clientName(ctx));
    return { resultType: 'complete' };
  });
  server.server.setRequestHandler('tasks/cancel', { params: named }, async ({ taskId }) => {
    await desk.cancel(taskId);
    return { resultType: 'complete' };
  });
}
