// Owns what may be asked of an invocation of a workflow, judged before anything moves: what no node could be given would
// fail the node that it is given to.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { parseAsked } from '../managed/ask.ts';
import type { TurnMessage } from '../turn/contract.ts';
import type { ResumeWorkflow } from './contract.ts';

const WITHIN = /^\/(?:continuationMessages|messages)(?=\/|$)/;

function assertMessages(node: string, continuationMessages: TurnMessage[]): void {
  try {
    parseAsked({ continuationMessages });
  } catch (thrown) {
    const { code, message, details } = asRuntimeError(thrown);
    const told = typeof details.field === 'string' ? details.field : '';
    const field = told.replace(WITHIN, `/continuationMessagesByNodeId/${node.slice(0, 80)}`);
    throw new RuntimeError(code, message.replace(told, field), { ...details, field });
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
