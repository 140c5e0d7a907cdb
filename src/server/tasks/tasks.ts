// Owns the methods tasks/get, tasks/update and tasks/cancel of one modern connection. The durable run is the task, and what
// was asked and when lies with it: nothing is remembered here, so a client may go on over any other connection.
import type { McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Answerer } from '../../kernel/approvals/approval.ts';
import type { WorkAnswer } from '../../pack/managed/surface.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Connection } from '../connection.ts';
import { readReaction } from '../delivery.ts';
import { invalidParams, taskFailure } from '../errors.ts';
import { detailedTask } from './task-view.ts';
import type { TaskQuestion } from './task-view.ts';

/** What a request says of its client. */
export interface TaskClient {
  name?: string;
  elicitsForms: boolean;
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

/** Nothing but the id is asked about, so what is wrong with the input is what it names: a session that its host runs. */
const NO_TASK: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'INVALID_INPUT']);

class TaskDesk {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async get(taskId: string, client: TaskClient): Promise<Record<string, unknown>> {
    const answer = await this.#work(taskId);
    const isAsked = answer.kind === 'approval_required' && client.elicitsForms;
    return detailedTask(answer, isAsked ? await this.#questions(answer) : []);
  }

  async update(taskId: string, responses: Record<string, unknown>, { name }: TaskClient): Promise<void> {
    const { runtime, caller, clock } = this.#connection;
    for (const approvalId of pendingApprovals(await this.#work(taskId))) {
      const open = await runtime.question(caller, approvalId, 'look').catch(() => undefined);
      if (open?.shownAt === undefined || !Object.hasOwn(responses, open.key)) continue;
      const parsed = reaction.safeParse(responses[open.key]);
      const latencyMs = Math.max(0, clock.now() - open.shownAt);
      const delivery = readReaction(parsed.success ? parsed.data : undefined, latencyMs);
      await runtime.deliverApproval(this.#answerer(name), approvalId, delivery, caller.actor);
    }
  }

  async cancel(taskId: string): Promise<void> {
    const { runtime, caller } = this.#connection;
    await this.#work(taskId);
    await runtime.cancel(caller, { session_id: taskId, reason: 'canceled by the client' });
  }

  /** Foreign, unknown and malformed ids are one answer, and so is a session of the caller's that is no task. */
  async #work(taskId: string): Promise<WorkAnswer> {
    const { runtime, caller } = this.#connection;
    try {
      return await runtime.work(caller, taskId);
    } catch (thrown) {
      if (thrown instanceof RuntimeError && NO_TASK.has(thrown.code)) throw invalidParams('Unknown task');
      throw thrown;
    }
  }

  async #questions(answer: WorkAnswer): Promise<TaskQuestion[]> {
    const { runtime, caller } = this.#connection;
    const questions: TaskQuestion[] = [];
    for (const approvalId of pendingApprovals(answer)) {
      const prompt = await runtime.approvalPrompt(caller, approvalId).catch(() => undefined);
      if (prompt?.askable !== true) continue;
      const open = await runtime.question(caller, approvalId, 'show').catch(() => undefined);
      if (open !== undefined) questions.push({ key: open.key, text: prompt.text });
    }
    return questions;
  }

  #answerer(clientName: string | undefined): Answerer {
    const { caller } = this.#connection;
    return {
      tenant: caller.tenant,
      principal: caller.principal,
      roles: caller.roles,
      attestation: 'client',
      channel: 'elicitation',
      ...(clientName === undefined ? {} : { clientName }),
    };
  }
}

/** Registers the three methods. Only modern connections reach them: the SDK refuses them on legacy ones. */
export function serveTasks(
  server: McpServer,
  connection: Connection,
  clientOf: (ctx: ServerContext) => TaskClient,
): void {
  const desk = new TaskDesk(connection);
  const answered = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw taskFailure(thrown, connection.log);
    }
  };
  server.server.setRequestHandler('tasks/get', { params: named }, ({ taskId }, ctx) =>
    answered(desk.get(taskId, clientOf(ctx))),
  );
  server.server.setRequestHandler('tasks/update', { params: update }, async (params, ctx) => {
    // The SDK takes the responses out of the parameters of every method.
    const responses = params.inputResponses ?? ctx.mcpReq.inputResponses ?? {};
    await answered(desk.update(params.taskId, responses, clientOf(ctx)));
    return { resultType: 'complete' };
  });
  server.server.setRequestHandler('tasks/cancel', { params: named }, async ({ taskId }) => {
    await answered(desk.cancel(taskId));
    return { resultType: 'complete' };
  });
}
