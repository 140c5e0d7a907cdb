// Owns what a receipt says of the confinement of a call that no process of ours carried out: that there was none.
import type { JsonObject } from '../../base/json.ts';
import type { Transport } from '../../config/types.ts';
import type { ExecutionResult } from '../execution/executor.ts';
import { unconfined } from './confine.ts';
import type { Confinement } from './confine.ts';

const ELSEWHERE: Readonly<Record<Transport, Confinement>> = {
  mcp_stdio: unconfined('the call reached no process'),
  mcp_http: unconfined('mcp_http: another machine, which is not ours to confine'),
  in_process: unconfined('in_process: a function of the process that runs the runtime'),
  host: unconfined('host: carried out by the host'),
};

/** The account of the process that ran the call, or that there was none. */
export function confinementOf(
  { confinement }: Pick<ExecutionResult, 'confinement'>,
  transport: Transport | undefined,
): JsonObject {
  return confinement ?? ELSEWHERE[transport ?? 'host'];
}
