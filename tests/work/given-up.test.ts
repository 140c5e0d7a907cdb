// Shows what is told of work that the queue gave up while nothing of it had ended, and that it goes on when it is resumed.
import { expect, test } from 'vitest';
import { detailedTask } from '../../src/server/tasks/task-view.ts';
import type { WorkAnswer } from '../../src/pack/managed/surface.ts';
import { governed } from '../managed/rig.ts';
import { asks, CALLER, IO, open, place } from '../runtime/rig.ts';
import type { Bench } from '../runtime/rig.ts';

const MESSAGES = { messages: [{ role: 'user' as const, content: 'go' }] };
const DONE = governed({ status: 'complete', assistant_message: 'done' });
const GIVEN_UP = {
  kind: 'error',
  error: {
    code: 'POLICY_DENIED',
    message: 'The configuration no longer knows the principal whose run this is.',
  },
};

interface Known {
  bench: Bench;
  /** Whether the configuration knows the caller. */
  know(is: boolean): void;
  until(id: string, kind: WorkAnswer['kind']): Promise<WorkAnswer>;
  said: unknown[];
}

async function opened(): Promise<Known> {
  let isKnown = true;
  const said: unknown[] = [];
  const bench = await open(await place(), {
    callerOf: () => (isKnown ? CALLER : undefined),
    log: (level, message, facts) => {
      if (message.includes('given up')) said.push([level, facts?.session_id, facts?.code]);
    },
  });
  const worker = await bench.runtime.startWorker();
  return {
    ...{ bench, said },
    know: (is) => void (isKnown = is),
    async until(id, kind) {
      const look = async (): Promise<WorkAnswer['kind']> => {
        await worker.tick();
        await worker.settled();
        return (await bench.runtime.work(CALLER, id)).kind;
      };
      await expect.poll(look).toBe(kind);
      return bench.runtime.work(CALLER, id);
    },
  };
}

test('a session that never began is told as failed, with the reason, and so is its task, until it is resumed', async () => {
  const { bench, know, until, said } = await opened();
  const { runtime, model } = bench;
  know(false);
  const start = { execute_turn_input: MESSAGES, background: true };
  const { session_id: id } = await runtime.startSession(CALLER, start, IO);
  const told = await until(id, 'error');
  expect(told).toMatchObject({ ...GIVEN_UP, session_id: id, status: 'queued', turn_count: 0 });
  expect(said).toEqual([['warn', id, 'POLICY_DENIED']]);
  expect(detailedTask(told, [])).toMatchObject({
    status: 'completed',
    result: { isError: true, structuredContent: GIVEN_UP },
  });
  know(true);
  model.next(DONE);
  const again = await runtime.resumeSession(CALLER, { session_id: id, background: true }, IO);
  expect(again.kind).toBe('queued');
  expect(await until(id, 'completed')).toMatchObject({ turn_count: 1 });
});

test('what it came to before is not told in the place of the resume that was given up, what came after is', async () => {
  const { bench, know, until } = await opened();
  const { runtime, model, clock } = bench;
  const most = { max_turns_per_invocation: 1 };
  model.next(asks('note', { n: 1 }), asks('note', { n: 2 }));
  const started = await runtime.startSession(CALLER, { execute_turn_input: MESSAGES, ...most }, IO);
  const { session_id: id } = started;
  expect(started.kind).toBe('suspended');
  clock.advance(1);
  know(false);
  await runtime.resumeSession(CALLER, { session_id: id, background: true }, IO);
  expect(await until(id, 'error')).toMatchObject({ ...GIVEN_UP, status: 'suspended', turn_count: 1 });
  clock.advance(1);
  await runtime.resumeSession(CALLER, { session_id: id, ...most }, IO);
  expect(await runtime.work(CALLER, id)).toMatchObject({ kind: 'suspended', turn_count: 2 });
});

test('a workflow likewise; one that is canceled then is canceled', async () => {
  const { bench, know, until } = await opened();
  const { runtime, model } = bench;
  const nodes = [{ id: 'looks', execute_turn_input: MESSAGES }];
  for (const session_id of ['wf-1', 'wf-2']) {
    know(false);
    await runtime.startWorkflow(CALLER, { workflow: { session_id, nodes }, background: true }, IO);
    expect(await until(session_id, 'error')).toMatchObject(GIVEN_UP);
  }
  know(true);
  model.next(DONE);
  await runtime.resumeWorkflow(CALLER, { session_id: 'wf-1', background: true }, IO);
  expect(await until('wf-1', 'completed')).toMatchObject({ completed_node_ids: ['looks'] });
  await runtime.cancel(CALLER, { session_id: 'wf-2' });
  expect(await runtime.work(CALLER, 'wf-2')).toMatchObject({ kind: 'canceled' });
});
