// Owns the helpers by which a program starts and resumes a governed workflow: branches run side by side, people and times
// are waited for, and everything it needs to go on lies in the journal.
import type { Caller } from '../kernel/identity.ts';
import type { TurnMessage } from '../pack/turn/contract.ts';
import type { ResumeWorkflow, StartWorkflow, WorkflowResult, Workflows } from '../pack/workflows/contract.ts';
import type { WorkflowDefinition } from '../pack/workflows/definition.ts';
import { ioOf } from './managed.ts';
import type { Watched } from './managed.ts';

interface WorkflowRun extends Watched {
  runtime: { workflows(): Promise<Workflows> };
  caller: Caller;
  /** Turns of each node in this invocation; default 12. A node that needs more is suspended and can be resumed. */
  maxTurnsPerInvocation?: number;
}

/** What a workflow is started with. */
export interface StartWorkflowOptions extends WorkflowRun {
  /** Checked as a whole before anything is recorded: INVALID_INPUT with every problem in `details.problems`. */
  workflow: WorkflowDefinition;
  /** An id that the program recorded before: the same id with the same workflow goes on, with another it is a CONFLICT. */
  sessionId?: string;
}

/** What a workflow is carried on with. */
export interface ResumeWorkflowOptions extends WorkflowRun {
  sessionId: string;
  /** What is new to the model of a node: user and tool messages. */
  continuationMessagesByNodeId?: Record<string, TurnMessage[]>;
}

/** Starts a workflow and carries it on until nothing can move without a person, a time or a budget. */
export async function startGovernedAgentWorkflow(options: StartWorkflowOptions): Promise<WorkflowResult> {
  const { runtime, caller, workflow, sessionId, maxTurnsPerInvocation } = options;
  const start: StartWorkflow = {
    workflow,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(maxTurnsPerInvocation === undefined ? {} : { maxTurnsPerInvocation }),
  };
  return (await runtime.workflows()).start(caller, start, ioOf(options));
}

/**
 * Carries a workflow on: after an approval, a time, a budget, a stop or a crash, all alike. Rejects with CONFLICT and
 * `details.reason: 'run_held'` while another run holds it, with SESSION_CLOSED when it has ended, and with NOT_FOUND.
 */
export async function resumeGovernedAgentWorkflow(options: ResumeWorkflowOptions): Promise<WorkflowResult> {
  const { runtime, caller, sessionId, continuationMessagesByNodeId, maxTurnsPerInvocation } = options;
  const how: ResumeWorkflow = {
    ...(continuationMessagesByNodeId === undefined ? {} : { continuationMessagesByNodeId }),
    ...(maxTurnsPerInvocation === undefined ? {} : { maxTurnsPerInvocation }),
  };
  return (await runtime.workflows()).resume(caller, sessionId, how, ioOf(options));
}
