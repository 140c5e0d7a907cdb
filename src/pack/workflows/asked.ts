// Owns what may be asked of an invocation of a workflow, judged before anything moves: what no node could be given would
// fail the node that it is given to.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import { parseAsked } from '../managed/ask.ts';
import type { TurnMessage } from '../turn/contract.ts';
import type { NodeSessions, ResumeWorkflow } from './contract.ts';

const WITHIN = /^\/(?:continuationMessages|messages)(?=\/|$)/;

/** A refusal by the session of a node, in the words of what was asked of the workflow. */
function ofNode(node: string, thrown: unknown): RuntimeError {
  const { code, message, details } = asRuntimeError(thrown);
  const told = typeof details.field === 'string' ? details.field : '';
  const field = told.replace(WITHIN, `/continuationMessagesByNodeId/${node.slice(0, 80)}`);
  return new RuntimeError(code, message.replace(told, field), { ...details, field });
}

function assertMessages(node: string, continuationMessages: TurnMessage[]): void {
  try {
    parseAsked({ continuationMessages });
  } catch (thrown) {
    throw ofNode(node, thrown);
  }
}

/** The same of the session that the node has by now, where one has begun. */
export async function assertTaken(
  sessions: Pick<NodeSessions, 'assertTakes'>,
  caller: Caller,
  { node, sessionId, said }: { node: string; sessionId: string; said: TurnMessage[] },
): Promise<void> {
  try {
    await sessions.assertTakes(caller, sessionId, { continuationMessages: said });
  } catch (thrown) {
    if (asRuntimeError(thrown).code !== 'NOT_FOUND') throw ofNode(node, thrown);
  }
}

/** Throws INVALID_INPUT with `details.field`. */
export function assertAskable({
  continuationMessagesByNodeId: messages = {},
  maxTurnsPerInvocation: maxTurns,
}: Pick<ResumeWorkflow, 'continuationMessagesByNodeId' | 'maxTurnsPerInvocation'>): void {
  if (maxTurns !== undefined) parseAsked({ maxTurns });
  for (const [node, said] of Object.entries(messages)) assertMessages(node, said);
}
