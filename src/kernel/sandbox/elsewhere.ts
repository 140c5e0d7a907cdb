// Owns what a receipt says of the confinement of a call that no process of ours carried out: that there was none.
import type { Transport } from '../../config/types.ts';
import { unconfined } from './confine.ts';
import type { Confinement } from './confine.ts';

const ELSEWHERE: Readonly<Record<Transport, Confinement>> = {
  mcp_stdio: unconfined('the call reached no process'),
  mcp_http: unconfined('mcp_http: another machine, which is not ours to confine'),
  in_process: unconfined('in_process: a function of the process that runs the runtime'),
  host: unconfined('host: carried out by the host'),
};

export function confinementElsewhere(transport: Transport | undefined): Confinement {
  return ELSEWHERE[transport ?? 'host'];
}
