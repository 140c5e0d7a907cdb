// Owns the looking at readable copies from outside: what the runtime wrote of its managed sessions, read strictly. There is
// nothing to save here: a session's state is its journal, and a changed copy changes nothing.
import { join } from 'node:path';
import { sessionCopyFiles } from '../store/documents/session-copies.ts';
import type { SessionCopy } from '../store/documents/session-copies.ts';

/** Readable copies of managed sessions, to be looked at; a session's state is its journal. */
export interface WorkflowStateStore {
  /** Where the copy of this session is put, whatever its id holds. */
  pathOf(sessionId: string): string;
  /**
   * The copy, or undefined where there is none. Throws STORE_CORRUPT for one that does not fit or is of another session,
   * STORE_FUTURE_VERSION for one of a newer version; either names the file and leaves it as it is.
   */
  load(sessionId: string): Promise<SessionCopy | undefined>;
}

/** The copies of a workspace: `.agent-runtime/workflow/<session_id>.json`, for its owner alone. */
export function createAgentRuntimeWorkflowStateStore({
  workspace,
}: {
  workspace: string;
}): WorkflowStateStore {
  const files = sessionCopyFiles(join(workspace, '.agent-runtime', 'workflow'));
  return { pathOf: (sessionId) => files.pathOf(sessionId), load: (sessionId) => files.read(sessionId) };
}
