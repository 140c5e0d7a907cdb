// The public helpers over the joined runtime: a workflow started by a program, and what becomes of a second start.
import { expect } from 'vitest';
import { mintSessionId, resumeGovernedAgentWorkflow, startGovernedAgentWorkflow } from '../../src/index.ts';
import type { WorkflowDefinition } from '../../src/index.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, asks, CALLER, open, OTHER, PERSON, place } from '../runtime/rig.ts';
import { governed, user } from '../managed/rig.ts';

const PAY: WorkflowDefinition = { nodes: [{ id: 'pay', execute_turn_input: { messages: [user('go')] } }] };
const LATER: WorkflowDefinition = { nodes: [{ ...PAY.nodes[0]!, id: 'later' }] };

verifies(
  { partial: ['LY-04', 'WF-14'] },
  'a program starts a workflow once under its id, and goes on after an approval in another runtime',
  async () => {
    const at = await place();
    const sessionId = mintSessionId();
    const first = await open(at);
    first.model.next(asks('pay', { sum: 2 }));
    const started = { runtime: first.runtime, caller: CALLER, workflow: PAY, sessionId };
    const waits = await startGovernedAgentWorkflow(started);
    if (waits.kind !== 'approval_required') throw new Error(waits.kind);
    expect(await startGovernedAgentWorkflow(started)).toEqual(waits);
    await expect(startGovernedAgentWorkflow({ ...started, workflow: LATER })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await first.runtime.close();

    const second = await open(at);
    const resumed = { runtime: second.runtime, caller: CALLER, sessionId };
    await second.runtime.deliverApproval(PERSON, waits.pending_request_id, APPROVE);
    second.model.next(governed({ status: 'complete', assistant_message: 'paid' }));
    expect(await resumeGovernedAgentWorkflow(resumed)).toMatchObject({ kind: 'completed', over: true });
    expect(second.effects.map((one) => one.args)).toEqual([{ sum: 2 }]);
    await expect(resumeGovernedAgentWorkflow(resumed)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await expect(resumeGovernedAgentWorkflow({ ...resumed, caller: OTHER })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  },
);
