// Owns what is recorded of a workflow whose process has gone, so that lists tell the truth before anybody resumes it. None
// of its nodes moves: each is judged by the run that carries it on.
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';
import { REASONS } from '../managed/next-step.ts';
import type { WorkflowDeps, WorkflowHold } from './contract.ts';
import { catchUp, commitStep } from './journal.ts';
import type { HeldWorkflow } from './journal.ts';
import { statusOf } from './result.ts';

async function takeLeft(deps: WorkflowDeps, { chain }: HeldWorkflow): Promise<WorkflowHold | undefined> {
  try {
    return await deps.holds.take(chain, () => Promise.resolve(true));
  } catch (thrown) {
    if (thrown instanceof RuntimeError && thrown.code === 'CONFLICT') return undefined;
    throw thrown;
  }
}

function isLeft({ state }: HeldWorkflow): boolean {
  return statusOf(state) === 'active' && state.cancelReason === undefined;
}

/** False when somebody else wrote first, such as a cancel, which is not to be written over. */
async function suspend(deps: WorkflowDeps, held: HeldWorkflow): Promise<boolean> {
  const drafts = [{ event: { type: 'workflow_interrupted', reason: REASONS.interrupted } }] as const;
  try {
    const when = { seq: held.state.seq };
    held.state = await commitStep(deps, { held, drafts, when, at: deps.clock.now() });
    return true;
  } catch (thrown) {
    if (asRuntimeError(thrown).code === 'CONFLICT') return false;
    throw thrown;
  }
}

/**
 * True when it was recorded as under way, and is suspended now. A cancel that finds it held by this look is left as a wish,
 * which whoever asked for the look carries out afterwards.
 */
export async function recoverWorkflow(deps: WorkflowDeps, held: HeldWorkflow): Promise<boolean> {
  if (!isLeft(held)) return false;
  const hold = await takeLeft(deps, held);
  if (hold === undefined) return false;
  try {
    held.state = await catchUp(deps.store, held.chain, held.state);
    return isLeft(held) && (await suspend(deps, held));
  } finally {
    await hold.release();
  }
}
