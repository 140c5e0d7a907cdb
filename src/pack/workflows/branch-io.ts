// Owns the one stream of progress that all branches share: each message names its node, and the counts only rise. What a
// node says of itself and what is recorded of it come in the same stream.
import type { TurnIo } from '../turn/run-turn.ts';
import type { NodeEvent } from './state.ts';

export interface BranchIo {
  of(node: string, signal: AbortSignal): TurnIo;
  /** What has been recorded of a node. */
  tell(event: NodeEvent): void;
}

const WORDS: Readonly<Partial<Record<NodeEvent['type'], string>>> = {
  node_scheduled: 'waits for its time',
  wakeup_fired: 'its time has come',
  node_started: 'started',
  node_waiting: 'waits for a person',
  node_suspended: 'suspended',
  node_completed: 'completed',
  node_retried: 'failed, and will be tried again',
  loop_iterated: 'goes round again',
  node_failed: 'failed',
  node_skipped: 'skipped',
  compensation_started: 'is being undone',
  node_compensated: 'undone',
  compensation_retried: 'could not be undone, and will be tried again',
  compensation_failed: 'could not be undone',
};

export function createBranchIo(io: TurnIo): BranchIo {
  let told = 0;
  let shown = 0;
  const say = (message: string): void => {
    io.progress?.({ progress: ++told, message });
  };
  return {
    of: (node, signal) => ({
      signal,
      progress({ message }) {
        say(message === undefined ? node : `${node}: ${message}`);
      },
      snapshot({ state, data }) {
        io.snapshot?.({ sequence: ++shown, state, data: { ...data, node_id: node } });
      },
    }),
    tell({ node, type }) {
      const words = WORDS[type];
      if (words !== undefined) say(`${node}: ${words}`);
    },
  };
}
