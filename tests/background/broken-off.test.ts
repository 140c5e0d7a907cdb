// Shows that branches which a stop broke off go on with the next worker, whatever another branch came to.
import { expect, test } from 'vitest';
import type { Approval } from '../../src/kernel/approvals/approval.ts';
import { createQueue } from '../../src/pack/background/queue.ts';
import { createWorker } from '../../src/pack/background/worker.ts';
import type { Worker } from '../../src/pack/background/worker.ts';
import { createRuns } from '../../src/runtime/background.ts';
import type { RunsDeps } from '../../src/runtime/background.ts';
import { CALLER, createRig, node } from '../workflows/rig.ts';
import type { Rig, Scripts } from '../workflows/rig.ts';

function workerOf({ store, clock, workflows, sessions }: Rig): Worker {
  const queue = createQueue({ store, clock, maxQueued: 9, agentId: 'agent' });
  const subject = { requestedAt: clock.now() } as Approval['subject'];
  const runs = createRuns({
    ...{ clock, queue, managed: sessions as unknown as RunsDeps['managed'] },
    workflows: () => Promise.resolve(workflows),
    callerOf: () => CALLER,
    approvalFor: () => Promise.resolve({ state: 'pending', subject, deliveries: [] }),
  });
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  return createWorker({ store, clock, queue, runs, instance: 'w', agentId: 'agent', isAlive, maxRunning: 4 });
}

async function workOff(worker: Worker): Promise<void> {
  while ((await worker.tick()) > 0) await worker.settled();
}

test.each<[string, Scripts, string]>([
  ['waits for a person', { a: [{ wait: 'apr' }] }, 'approval_required'],
  ['has failed', { a: [{ fail: 'INTERNAL' }] }, 'error'],
])('where one %s', async (_how, script, kind) => {
  const rig = createRig(script);
  const queue = createQueue({ store: rig.store, clock: rig.clock, maxQueued: 9, agentId: 'agent' });
  const workflow = { session_id: 'wf', nodes: [node('a'), node('b')], failure_policy: 'continue' };
  await rig.workflows.create(CALLER, { workflow });
  await queue.admit(CALLER, { id: 'wf', kind: 'workflow' });
  const first = workerOf(rig);
  rig.sessions.gate = async (session) => {
    if (session.node !== 'b' || session.runs.length > 1) return;
    const ofA = kind === 'error' ? 'node_failed a' : 'node_waiting a';
    while (!(await rig.records('wf')).includes(ofA)) await Promise.resolve();
    void first.stop();
  };
  await workOff(first);
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind, completed_node_ids: [] });
  await workOff(workerOf(rig));
  expect(await rig.workflows.inspect(CALLER, 'wf')).toMatchObject({ kind, completed_node_ids: ['b'] });
});
