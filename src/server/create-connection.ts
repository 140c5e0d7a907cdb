// Owns the joining of what one client's requests share.
import type { Connection, ServerParts } from './connection.ts';
import { ApprovalGate } from './gate.ts';
import { ReadTable } from './reads/read-table.ts';
import { createRequestStates } from './request-state.ts';
import type { StateKeys } from './request-state.ts';
import { createToolTable } from './tool-table.ts';

export function createConnection(
  { runtime, caller, options, clock, ids, log }: ServerParts,
  stateKeys: StateKeys,
  inFlight: Set<Promise<unknown>> = new Set(),
): Connection {
  const parts: ServerParts = { runtime, caller, options, clock, ids, log };
  const states = createRequestStates(stateKeys, caller, clock);
  return {
    ...parts,
    states,
    gate: new ApprovalGate(parts, states),
    table: createToolTable(runtime, caller, options.tools),
    reads: new ReadTable(runtime, caller, options.tools),
    inFlight,
  };
}
