// Owns what is recorded of a workflow whose process has gone, so that lists tell the truth before anybody resumes it. None
// of its nodes moves: each is judged by the run that carries it on.
import { RuntimeError } from '../../base/errors.ts';
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

/** True when it was recorded as under way, and is suspended now. */
export async function recoverWorkflow(deps: WorkflowDeps, held: HeldWorkflow): Promise<boolean> {
  if (statusOf(held.state) !== 'active') return false;
  const hold = await takeLeft(deps, held);
  if (hold === undefined) return false;
  try {
    held.state = await catchUp(deps.store, held.chain, held.state);
    if (statusOf(held.state) !== 'active') return false;
    const drafts = [{ event: { type: 'workflow_interrupted', reason: REASONS.interrupted } }] as const;
    await commitStep(deps, { held, drafts, when: { epoch: hold.epoch }, at: deps.clock.now() });
    return true;
  } finally {
    await hold.release();
  }
}
