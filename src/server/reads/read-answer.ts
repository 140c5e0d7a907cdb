// Owns what a governed read answers on the wire: the server's own result, or a protocol error that says what stood in its
// way, because a read has no result that could carry one.
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from '@modelcontextprotocol/server';
import type { Result } from '@modelcontextprotocol/server';
import type { CallAnswer } from '../../runtime/contract.ts';
import { CALL_META_KEY, callSentence, plainObject } from '../results.ts';

/** Beyond what the protocol itself uses: policy or its person said no, or not yet. */
const REFUSED = -32_010;

function codeOf(answer: CallAnswer): number {
  if (answer.status === 'denied' || answer.status === 'approval_required') return REFUSED;
  return answer.error?.code === 'INVALID_INPUT'
    ? ProtocolErrorCode.InvalidParams
    : ProtocolErrorCode.InternalError;
}

/** Throws the protocol error of whatever is not done. `uri`: of the resource that was asked for. */
export function readResult(answer: CallAnswer, note: string | undefined, uri?: string): Result {
  const { result, ...rest } = answer;
  if (answer.status === 'done' && result?.structured !== undefined) {
    const { _meta: own, ...body } = result.structured;
    const meta = typeof own === 'object' && own !== null && !Array.isArray(own) ? own : {};
    return { ...body, _meta: { ...meta, [CALL_META_KEY]: plainObject(rest) } };
  }
  if (answer.error?.code === 'NOT_FOUND' && uri !== undefined) throw new ResourceNotFoundError(uri);
  const sentence = note === undefined ? callSentence(answer) : `${callSentence(answer)} ${note}`;
  throw new ProtocolError(codeOf(answer), sentence, plainObject(rest));
}
