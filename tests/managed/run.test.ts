// The straight path and every way in which it pauses, goes on or ends.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Store } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  ask,
  asks,
  boot,
  CALLER,
  createWorld,
  governed,
  id,
  IO,
  lastUser,
  listed,
  LONG,
  OTHER,
  roomyConfig,
  says,
  toolsTold,
  user,
} from './rig.ts';

describe('creating', () => {
  verifies(['QB-01'], 'gives a handle of a queued run; a finished one is not run again', async () => {
    const at = boot(createWorld({ mind: () => governed({ status: 'complete', assistant_message: 'bye' }) }));
    const made = await at.managed.create(CALLER, { ...ask(), as: 'queued' });
    expect(made).toEqual({
      session_id: expect.stringMatching(/^ses_/) as string,
      run_id: expect.stringMatching(/^run_/) as string,
    });
    expect(await at.managed.status(CALLER, made.session_id)).toBe('queued');
    expect(await listed(at, made.session_id)).toBe('queued');
    expect((await at.rig.store.row('run', 'local', made.run_id))?.status).toBe('queued');
    expect(at.model.inputs).toHaveLength(0);
    expect(await at.resume(made.session_id)).toMatchObject({ kind: 'completed', run_id: made.run_id });
    const records = (await at.rig.records(made.session_id)).length;
    await expect(at.resume(made.session_id)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    expect(await at.rig.records(made.session_id)).toHaveLength(records);
    expect((await at.rig.store.row('run', 'local', made.run_id))?.status).toBe('success');
  });

  verifies(
    { partial: ['WF-04'] },
    'the same id twice is one session; another principal learns nothing of it',
    async () => {
      const world = createWorld();
      const at = boot(world);
      const sessionId = at.rig.clock.now() > 0 ? await id(at) : '';
      const again = await Promise.all(
        [0, 1, 2].map(() => boot(world).managed.create(CALLER, { ...ask('other'), sessionId })),
      );
      expect(new Set(again.map((one) => one.session_id))).toEqual(new Set([sessionId]));
      expect(await at.rig.records(sessionId)).toHaveLength(2);
      await expect(at.managed.create(OTHER, { ...ask(), sessionId })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: `Session not found: ${sessionId}`,
      });
      await expect(at.managed.create(CALLER, { ...ask(), sessionId: 'ses_x' })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
      for (const input of [{ messages: [] }, { messages: [user('x')], session_id: sessionId }]) {
        await expect(at.managed.create(CALLER, { executeTurnInput: input })).rejects.toMatchObject({
          code: 'INVALID_INPUT',
        });
      }
      await expect(at.managed.create({ ...CALLER, principal: ' ' }, ask())).rejects.toMatchObject({
        code: 'POLICY_DENIED',
      });
    },
  );

  verifies({ partial: ['QB-04'] }, 'foreign and absent answer alike, everywhere', async () => {
    const at = boot(createWorld());
    const mine = await id(at);
    const absent = `ses_${'0'.repeat(26)}`;
    const shown = async (work: (of: string) => Promise<unknown>, of: string): Promise<string> =>
      work(of).then(
        () => 'answered',
        (thrown: unknown) => {
          const { code, message } = thrown as RuntimeError;
          return `${code} ${message.replaceAll(of, '<id>')}`;
        },
      );
    const doors: ((of: string) => Promise<unknown>)[] = [
      (of) => at.managed.run(OTHER, of, {}, IO),
      (of) => at.managed.cancel(OTHER, of, 'x'),
      (of) => at.managed.status(OTHER, of),
      (of) => at.managed.continuations(OTHER, of),
      (of) => at.managed.rebuildSnapshot(OTHER, of),
    ];
    for (const door of doors) {
      expect(await shown(door, mine)).toBe('NOT_FOUND Session not found: <id>');
      expect(await shown(door, absent)).toBe('NOT_FOUND Session not found: <id>');
    }
    expect(await at.rig.records(mine)).toHaveLength(2);
  });

  test('what the host gave at the start is told in the first turn, and only there', async () => {
    const at = boot(createWorld());
    const { session_id: sessionId } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [{ role: 'system', content: 'context' }, user('go')] },
    });
    expect(await at.resume(sessionId)).toMatchObject({ kind: 'completed' });
    expect(at.model.inputs[0]?.messages.map((one) => one.role)).toEqual(['system', 'user', 'user']);
    await expect(
      at.resume(sessionId, { continuationMessages: [{ role: 'system', content: 'x' }] }),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: '/continuationMessages/0/role' } });
    const turnwise = await at.rig.ok({ messages: [user('hi')] });
    await expect(at.resume(turnwise.session_id)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('pausing and going on', () => {
  verifies(
    ['WF-05', 'WF-22'],
    'turns used up suspend; the next run goes on with counts, history and messages',
    async () => {
      const world = createWorld({ mind: LONG(5) });
      const first = await boot(world).start('go', { maxTurns: 2 });
      expect(first).toMatchObject({
        kind: 'suspended',
        reason: 'Invocation turn budget reached.',
        status: 'suspended',
      });
      expect(first).toMatchObject({ turn_count: 2, tool_call_count: 2 });
      const whole = await boot(createWorld({ mind: LONG(5) })).start('go');
      let last = first;
      for (const turns of [2, 2]) {
        last = await boot(world).resume(first.session_id, { maxTurns: turns });
      }
      expect(last).toMatchObject({
        kind: 'completed',
        turn_count: 6,
        tool_call_count: 5,
        status: 'completed',
      });
      expect(world.effects.map((one) => one.args.n)).toEqual([0, 1, 2, 3, 4]);
      const plain = (result: typeof last): unknown => ({
        messages: result.messages.map(({ role, content }) => [role, content]),
        history: result.history.map(({ turn_index: index, turn_output: { status }, tool_output: output }) => [
          index,
          status,
          output?.status,
        ]),
      });
      expect(plain(last)).toEqual(plain(whole));
      expect(last.history.slice(0, 2)).toEqual(first.history);
    },
  );

  verifies({ partial: ['QB-03', 'WF-02'] }, 'a reply ends the invocation and not the session', async () => {
    const world = createWorld({ mind: (input) => says(`heard ${lastUser(input)}`) });
    const at = boot(world);
    const first = await at.start('one');
    expect(first).toMatchObject({
      kind: 'completed',
      status: 'suspended',
      final_turn: { assistant_message: 'heard one' },
    });
    const records = (await at.rig.records(first.session_id)).length;
    const again = await boot(world).resume(first.session_id);
    expect(again).toEqual(first);
    expect(await at.rig.records(first.session_id)).toHaveLength(records);
    const next = await boot(world).resume(first.session_id, { continuationMessages: [user('two')] });
    expect(next).toMatchObject({
      kind: 'completed',
      turn_count: 2,
      final_turn: { assistant_message: 'heard two' },
    });
    expect(next.messages.map((one) => one.content)).toEqual(['one', 'heard one', 'two', 'heard two']);
  });

  test('an escalation opens an item and takes further messages', async () => {
    const world = createWorld({
      mind: (input) =>
        lastUser(input) === 'go'
          ? governed({ status: 'escalate', assistant_message: 'help' })
          : says('thanks'),
    });
    const at = boot(world);
    const first = await at.start('go');
    expect(first).toMatchObject({
      kind: 'completed',
      final_turn: { status: 'escalate' },
      status: 'suspended',
    });
    const items = await at.rig.store.list({ kind: 'item', tenant: 'local', limit: 5 });
    expect(items.items).toHaveLength(1);
    expect(await at.resume(first.session_id, { continuationMessages: [user('done')] })).toMatchObject({
      final_turn: { assistant_message: 'thanks' },
    });
  });

  verifies(['WF-07'], 'the log of continuations has real times and grows by what happened', async () => {
    const world = createWorld({ mind: LONG(2) });
    const at = boot(world);
    const { session_id: sessionId } = await at.managed.create(CALLER, {
      ...ask(),
      parent: { workflow_id: 'ses_w', node_id: 'n1', attempt: 1, iteration: 1 },
    });
    world.clock.advance(1000);
    await at.resume(sessionId, { reason: 'created', maxTurns: 1 });
    world.clock.advance(1000);
    await boot(world).resume(sessionId, { reason: 'wakeup', maxTurns: 1 });
    world.clock.advance(1000);
    await at.resume(sessionId);
    const told = await boot(world).managed.continuations(CALLER, sessionId);
    expect(
      told.map(({ sequence, kind, timestamp, reason, node_id: node }) => [
        sequence,
        kind,
        timestamp.slice(17, 19),
        reason ?? '',
        node,
      ]),
    ).toEqual([
      [1, 'created', '00', '', 'n1'],
      [2, 'suspended', '01', 'Invocation turn budget reached.', 'n1'],
      [3, 'wakeup', '02', 'Scheduled wake time reached.', 'n1'],
      [4, 'suspended', '02', 'Invocation turn budget reached.', 'n1'],
      [5, 'resumed', '03', '', 'n1'],
      [6, 'completed', '03', 'Session reached a terminal turn.', 'n1'],
    ]);
  });

  verifies({ partial: ['WF-06'] }, 'the stored status is true while a run is under way', async () => {
    const world = createWorld();
    const at = boot(world);
    const sessionId = await id(at, { as: 'queued' });
    const seen: (string | undefined)[] = [];
    world.mind = (input) => (toolsTold(input) === 0 ? asks('note') : says('ok'));
    at.rig.tool.run = async () => {
      seen.push(await listed(at, sessionId), await at.managed.status(CALLER, sessionId));
      return { kind: 'result', content: [], isError: false, notes: [] };
    };
    await at.resume(sessionId);
    expect(seen).toEqual(['active', 'active']);
    expect(await listed(at, sessionId)).toBe('suspended');
  });

  verifies(
    { partial: ['TC-14', 'WF-02'] },
    'a turn that fails is an error that says where, and the next run makes it again',
    async () => {
      const world = createWorld();
      const at = boot(world);
      world.mind = () => {
        throw new RuntimeError('PROVIDER_TIMEOUT');
      };
      const failed = await at.start('go');
      expect(failed).toMatchObject({
        kind: 'error',
        status: 'error',
        stage: 'execute_turn',
        error: { code: 'PROVIDER_TIMEOUT' },
      });
      expect(await listed(at, failed.session_id)).toBe('error');
      world.mind = () => says('well');
      expect(await boot(world).resume(failed.session_id)).toMatchObject({
        kind: 'completed',
        messages: [{ content: 'go' }, { content: 'well' }],
      });
    },
  );

  test('messages that no turn took in are told by the next one that begins', async () => {
    const world = createWorld();
    const at = boot(world);
    const { session_id: sessionId } = await at.start('one');
    world.config = { ...world.config, limits: { ...world.config.limits, maxTurnsPerSession: 1 } };
    const strict = boot(world);
    expect(await strict.resume(sessionId, { continuationMessages: [user('two')] })).toMatchObject({
      kind: 'error',
      error: { code: 'LIMIT_EXCEEDED' },
      messages: [{ content: 'one' }, { content: 'ok' }, { content: 'two' }],
    });
    world.config = roomyConfig();
    const wide = boot(world);
    await wide.resume(sessionId, { continuationMessages: [user('three')] });
    expect(
      wide.model.inputs
        .at(-1)
        ?.messages.slice(-2)
        .map((one) => one.content),
    ).toEqual(['two', 'three']);
  });

  test('a caller that stops suspends; nothing is lost', async () => {
    const world = createWorld({ mind: LONG(3) });
    const at = boot(world);
    const sessionId = await id(at);
    const stop = new AbortController();
    at.rig.tool.run = async (execution) => {
      world.effects.push(execution);
      stop.abort();
      return { kind: 'result', content: [], isError: false, notes: [] };
    };
    const stopped = await at.managed.run(CALLER, sessionId, {}, { signal: stop.signal });
    expect(stopped).toMatchObject({
      kind: 'suspended',
      reason: 'The run was stopped by its caller.',
      tool_call_count: 1,
    });
    expect(await boot(world).resume(sessionId)).toMatchObject({ kind: 'completed', tool_call_count: 3 });
    await expect(at.managed.run(CALLER, sessionId, {}, { signal: stop.signal })).rejects.toMatchObject({
      code: 'CANCELED',
    });
  });
});

test('a store that cannot be written starts nothing and claims nothing', async () => {
  const world = createWorld();
  const sessionId = await id(boot(world));
  const full = (store: Store): Store => ({
    ...store,
    commit: () => Promise.reject(new RuntimeError('STORE_UNAVAILABLE')),
  });
  const at = boot(world, full);
  await expect(at.resume(sessionId)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(at.model.inputs).toEqual([]);
  expect(await boot(world).resume(sessionId)).toMatchObject({ kind: 'completed' });
});
