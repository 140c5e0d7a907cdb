// Owns the one stream of progress that all branches share: each message names its node, and the counts only rise.
import type { TurnIo } from '../turn/run-turn.ts';

export interface BranchIo {
  of(node: string, signal: AbortSignal): TurnIo;
}

export function createBranchIo(io: TurnIo): BranchIo {
  let told = 0;
  let shown = 0;
  return {
    of: (node, signal) => ({
      signal,
      progress({ message }) {
        io.progress?.({ progress: ++told, message: message === undefined ? node : `${node}: ${message}` });
      },
      snapshot({ state, data }) {
        io.snapshot?.({ sequence: ++shown, state, data: { ...data, node_id: node } });
      },
    }),
  };
}
