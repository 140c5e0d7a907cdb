// What the record of a call says of where it was asked for.
import { expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { ModelInput } from '../../src/providers/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { governed, user } from '../managed/rig.ts';
import { asks, CALLER, configFor, IO, open, place } from '../runtime/rig.ts';
import type { Bench } from '../runtime/rig.ts';

const DONE = governed({ status: 'complete', intent: 'work', assistant_message: 'done' });

async function intentBench(): Promise<Bench> {
  const at = await place();
  const work = { id: 'work', description: 'work', allowTools: ['note'], approvalRequiredTools: ['pay'] };
  return open(at, { config: configFor(at, { intents: { work } }) });
}

/** Notes two things, then is done. */
function story({ messages }: ModelInput): ReturnType<typeof asks> {
  const told = messages.filter(({ role }) => role === 'tool').length;
  return told < 2 ? asks('note', { n: told }) : DONE;
}

async function callsOf({ runtime }: Bench, session: string): Promise<{ type: string; facts: JsonObject }[]> {
  const records = await runtime.store.read({ tenant: CALLER.tenant, aggregate: 'session', id: session });
  return records
    .filter(({ header }) => header.type.startsWith('call_'))
    .map(({ header, evidence }) => ({
      type: header.type,
      facts: evidence.state === 'present' ? evidence.value : {},
    }));
}

verifies(
  ['WF-03'],
  'every record of a call carries turn, calls before it, intent and node, and no two branches share a call id',
  async () => {
    const bench = await intentBench();
    for (let n = 0; n < 9; n++) bench.model.next(story);
    const node = (id: string, more = {}): object => ({
      id,
      execute_turn_input: { messages: [user(id)], intent: 'work' },
      ...more,
    });
    const nodes = [node('left'), node('right'), node('join', { depends_on: ['left', 'right'] })];
    const workflows = await bench.runtime.workflows();
    const begun = await workflows.start(CALLER, { workflow: { session_id: 'wf', nodes } }, IO);
    expect(begun.kind).toBe('completed');

    const ids: unknown[] = [];
    const sessions = [...new Set(bench.effects.map(({ context }) => context.sessionId))];
    expect(sessions).toHaveLength(3);
    const seen: unknown[] = [];
    for (const session of sessions) {
      const calls = await callsOf(bench, session);
      const at = (turn_index: number): JsonObject => ({ turn_index, tool_call_count: turn_index });
      const common = { intent: 'work', workflow_id: 'wf', node_id: calls[0]?.facts.node_id };
      expect(calls).toMatchObject([
        ...[0, 1].flatMap((turn) => [
          { type: 'call_started', facts: { ...common, ...at(turn) } },
          { type: 'call_finished', facts: { ...common, ...at(turn) } },
        ]),
      ]);
      seen.push(common.node_id);
      ids.push(...new Set(calls.map(({ facts }) => facts.tool_call_id)));
    }
    expect(seen.sort()).toEqual(['join', 'left', 'right']);
    expect([ids.length, new Set(ids).size]).toEqual([6, 6]);

    const { session_id, tool_call_id } = await bench.ask('pay', {}, { intent: 'work' });
    await bench.run({ session_id, tool_call_id });
    const [waiting, ...more] = await callsOf(bench, session_id);
    expect(more).toEqual([]);
    expect(waiting).toMatchObject({
      ...{ type: 'call_waiting', facts: { intent: 'work', turn_index: 0, tool_call_count: 0 } },
    });
    expect(waiting?.facts).not.toHaveProperty('node_id');
  },
);
