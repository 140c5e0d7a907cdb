// Shows that what a resume at once refuses is refused in the background too, and that nothing of it is left with a worker.
import { expect, test } from 'vitest';
import { createQueue } from '../../src/pack/background/queue.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { governed } from '../managed/rig.ts';
import { asks, CALLER, configFor, IO, open, place, says } from '../runtime/rig.ts';
import type { Bench } from '../runtime/rig.ts';

const MESSAGES = { messages: [{ role: 'user' as const, content: 'go' }] };
const NODES: JsonObject[] = [{ id: 'looks', execute_turn_input: MESSAGES }];

async function queued({ runtime }: Bench): Promise<string[]> {
  const page = await runtime.store.list({ kind: 'queue', tenant: CALLER.tenant, limit: 9 });
  return page.items.map(({ id, status }) => `${id} ${status}`);
}

async function byHost({ runtime, model }: Bench): Promise<string> {
  model.next(says('hello'));
  const turn = await runtime.executeTurn(CALLER, MESSAGES, IO);
  return 'session_id' in turn ? turn.session_id : '';
}

test('a resume is judged before it is queued, as it would be at once', async () => {
  const at = await place();
  const bench = await open(at, { callerOf: () => CALLER });
  const { runtime, model } = bench;
  model.next(governed({ status: 'complete', assistant_message: 'done' }));
  const closed = await runtime.startSession(CALLER, { execute_turn_input: MESSAGES }, IO);
  model.next(asks('note', { n: 1 }), asks('note', { n: 2 }));
  const most = { max_turns_per_invocation: 1 };
  const left = await runtime.startSession(CALLER, { execute_turn_input: MESSAGES, ...most }, IO);
  const flow = await runtime.startWorkflow(CALLER, { workflow: { nodes: NODES }, ...most }, IO);
  const gone = await runtime.startWorkflow(CALLER, { workflow: { nodes: NODES }, background: true }, IO);
  await runtime.cancel(CALLER, { session_id: gone.session_id });
  const before = await queued(bench);
  const config = configFor(at);
  const other = await open(at, { config: { ...config, agent: { ...config.agent, id: 'agent-2' } } });
  const sessions = [
    [bench, { session_id: await byHost(bench) }, 'INVALID_INPUT'],
    [bench, { session_id: closed.session_id }, 'SESSION_CLOSED'],
    [bench, { session_id: left.session_id, max_turns_per_invocation: 5_000 }, 'INVALID_INPUT'],
    [other, { session_id: left.session_id }, 'POLICY_DENIED'],
  ] as const;
  const workflows = [
    [bench, { session_id: gone.session_id }, 'SESSION_CLOSED'],
    [bench, { session_id: flow.session_id, max_turns_per_invocation: 5_000 }, 'INVALID_INPUT'],
    [other, { session_id: flow.session_id }, 'POLICY_DENIED'],
  ] as const;
  for (const background of [false, true]) {
    for (const [{ runtime: by }, input, code] of sessions) {
      await expect(by.resumeSession(CALLER, { ...input, background }, IO)).rejects.toMatchObject({ code });
    }
    for (const [{ runtime: by }, input, code] of workflows) {
      await expect(by.resumeWorkflow(CALLER, { ...input, background }, IO)).rejects.toMatchObject({ code });
    }
    const start = { execute_turn_input: MESSAGES, max_turns_per_invocation: 5_000, background };
    await expect(runtime.startSession(CALLER, start, IO)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  }
  expect(await queued(bench)).toEqual(before);
});

test('what a worker finds that can never be run has failed, and is not tried for ever', async () => {
  const bench = await open(await place(), { callerOf: () => CALLER });
  const { runtime } = bench;
  const id = await byHost(bench);
  const agentId = runtime.config.agent.id;
  const queue = createQueue({ store: runtime.store, clock: bench.clock, maxQueued: 9, agentId });
  await queue.admit(CALLER, { id, kind: 'session', asked: true });
  const worker = await runtime.startWorker();
  await expect
    .poll(async () => {
      await worker.tick();
      await worker.settled();
      return queued(bench);
    })
    .toEqual([`${id} failed`]);
});
