// Owns the proof that branches, wake-ups and resumed sessions are carried out as one kind of task, under the ids that are stored.
import { expect } from 'vitest';
import { resumeGovernedAgentWorkflow, startGovernedAgentWorkflow } from '../../src/index.ts';
import type { NodeDefinition } from '../../src/index.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { ModelInput, ModelOutput } from '../../src/providers/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { governed, user } from '../managed/rig.ts';
import { APPROVE, asks, CALLER, open, PERSON, place } from '../runtime/rig.ts';
import type { Bench } from '../runtime/rig.ts';

const HOUR = 3_600_000;
const TOOLS: Record<string, string> = { left: 'look', right: 'pay', timed: 'note' };

/** Asks for the tool of the node that speaks, once, and is done when it has its result. */
function answer({ messages }: ModelInput): Partial<ModelOutput> {
  // What a node depends on is told before its own words.
  const said = messages.map(({ content }) => content).find((text) => Object.hasOwn(TOOLS, text)) ?? 'root';
  const tool = TOOLS[said];
  const isDone = tool === undefined || messages.some((one) => one.role === 'tool');
  return isDone ? governed({ status: 'complete', assistant_message: said }) : asks(tool, { by: said });
}

function node(id: string, over: Partial<NodeDefinition> = {}): NodeDefinition {
  return { id, execute_turn_input: { messages: [user(id)] }, ...over };
}

async function evidence({ runtime }: Bench): Promise<{ type: string; value: JsonObject }[]> {
  const records = await runtime.store.scan({ tenant: CALLER.tenant, limit: 200 });
  return records.flatMap(({ header, evidence: one }) =>
    one.state === 'present' ? [{ type: header.type, value: one.value }] : [],
  );
}

verifies(
  ['LY-03'],
  'a branch, a wake-up and a resumed session run as agent-session, and their ids are those of the stored session and run',
  async () => {
    const at = await place();
    const fakeClock = createFakeClock();
    const first = await open(at, { fakeClock });
    const answers = Array.from({ length: 20 }, () => answer);
    first.model.next(...answers);
    const wake_at = new Date(fakeClock.now() + HOUR).toISOString();
    const nodes = [
      node('root'),
      node('left', { depends_on: ['root'] }),
      node('right', { depends_on: ['root'] }),
      node('timed', { depends_on: ['root'], wake_at }),
    ];
    const begun = await startGovernedAgentWorkflow({
      runtime: first.runtime,
      caller: CALLER,
      workflow: { nodes },
    });
    if (begun.kind !== 'approval_required') throw new Error(begun.kind);
    await first.runtime.close();

    const second = await open(at, { fakeClock });
    second.model.next(...answers);
    await second.runtime.deliverApproval(PERSON, begun.pending_request_id, APPROVE);
    const goOn = { runtime: second.runtime, caller: CALLER, sessionId: begun.session_id };
    expect(await resumeGovernedAgentWorkflow(goOn)).toMatchObject({
      kind: 'scheduled',
      next_wake_at: wake_at,
    });
    fakeClock.advance(HOUR);
    expect(await resumeGovernedAgentWorkflow(goOn)).toMatchObject({ kind: 'completed' });

    const effects = [...first.effects, ...second.effects];
    expect(effects.map((one) => one.args['by'])).toEqual(['left', 'right', 'timed']);
    for (const { context } of effects) {
      expect(context.taskType).toBe('agent-session');
      const session = await second.runtime.store.row('session', CALLER.tenant, context.sessionId);
      const run = await second.runtime.store.row('run', CALLER.tenant, context.runId);
      expect(session?.body['task_type']).toBe('agent-session');
      expect(run?.ref).toBe(context.sessionId);
    }
    expect(new Set(effects.map(({ context }) => context.sessionId)).size).toBe(3);

    const told = await evidence(second);
    const typed = told.filter(({ value }) => 'task_type' in value);
    expect(new Set(typed.map(({ value }) => value['task_type']))).toEqual(new Set(['agent-session']));
    // Everything that belongs to a run has it, but the birth of the workflow, which carries nothing out itself.
    const untyped = told.filter(({ value }) => 'run_id' in value && !('task_type' in value));
    expect(untyped.map(({ type }) => type)).toEqual(['workflow_started']);
    const of = new Map(effects.map(({ context, callId }) => [callId, context]));
    const calls = told.filter(({ type }) => type === 'call_started' || type === 'call_finished');
    expect(calls).toHaveLength(6);
    for (const { value } of calls) {
      const stored = of.get(value['call_id'] as string);
      expect([value['session_id'], value['run_id']]).toEqual([stored?.sessionId, stored?.runId]);
    }

    // Before and after the approval, the restart and the wake-up, a session has the one run that it began.
    for (const { context } of effects) {
      const own = typed.filter(({ value }) => value['session_id'] === context.sessionId);
      expect(own.length).toBeGreaterThan(6);
      expect(new Set(own.map(({ value }) => value['run_id']))).toEqual(new Set([context.runId]));
    }

    // A call of one session is not found under the id of another, and nothing runs.
    const [left, right] = effects;
    await expect(
      second.run({ session_id: left?.context.sessionId ?? '', tool_call_id: right?.callId ?? '' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(first.effects.length + second.effects.length).toBe(3);
  },
);
