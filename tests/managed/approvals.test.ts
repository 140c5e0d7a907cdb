// A run that waits for a person: answered from another process, and what every answer makes of it.
import { describe, expect, test } from 'vitest';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import type { ModelInput, ModelOutput } from '../../src/providers/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { createSessions } from '../../src/pack/sessions/sessions.ts';
import { asks, boot, CALLER, createWorld, decide, governed, IO, listed, toolsTold, user } from './rig.ts';
import type { Process, World } from './rig.ts';

type Waiting = Extract<ManagedResult, { kind: 'approval_required' }>;

/** Asks for one payment, and ends with what it is told of it. */
function payer(input: ModelInput): Partial<ModelOutput> {
  const told = input.messages.findLast((one) => one.role === 'tool');
  return told === undefined
    ? asks('pay', { sum: 5 })
    : governed({ status: 'complete', assistant_message: told.content });
}

async function waiting(world: World, at: Process = boot(world)): Promise<Waiting> {
  const result = await at.start('pay');
  if (result.kind !== 'approval_required') throw new Error(`it does not wait: ${result.kind}`);
  return result;
}

// Another terminal: another process, another connection, the same person.
const ELSEWHERE = { ...CALLER, actor: 'stdio:77' };

describe('a run that waits for a person', () => {
  verifies(
    { partial: ['AP-08', 'WF-08'] },
    'goes on in another process once approved there, and the call runs once',
    async () => {
      const world = createWorld({ mind: payer });
      const first = await waiting(world);
      expect(first).toMatchObject({
        status: 'waiting_approval',
        requested_tool: { name: 'pay', input: { sum: 5 }, decision: { decision: 'approval_required' } },
      });
      expect(world.effects).toEqual([]);
      const other = boot(world);
      await decide(other, first.pending_request_id, 'approve');
      const done = await other.resume(first.session_id, {}, ELSEWHERE);
      expect(done).toMatchObject({ kind: 'completed', tool_call_count: 1 });
      expect(world.effects.map((one) => one.args)).toEqual([{ sum: 5 }]);
      // Bound to the session's own actor, whoever resumes: no second approval was asked for.
      const { items } = await other.rig.store.list({ kind: 'approval', tenant: 'local', limit: 9 });
      expect(items.map((one) => [one.id, one.status])).toEqual([[first.pending_request_id, 'consumed']]);
      await expect(boot(world).resume(first.session_id)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
      expect(world.effects).toHaveLength(1);
    },
  );

  verifies(
    { partial: ['WF-08'] },
    'stays as it is while the answer is out: no record, no turn, no second question',
    async () => {
      const world = createWorld({ mind: payer });
      const first = await waiting(world);
      const other = boot(world);
      const before = await other.rig.records(first.session_id);
      for (const how of [{}, { maxTurns: 1 }]) {
        expect(await other.resume(first.session_id, how, ELSEWHERE)).toEqual(first);
      }
      expect(await other.rig.records(first.session_id)).toHaveLength(before.length);
      expect(other.model.inputs).toEqual([]);
      // What a host claims of an approval moves nothing either.
      const claim = {
        role: 'tool' as const,
        tool_name: 'kernel:approval',
        tool_call_id: first.pending_request_id,
        content: JSON.stringify({
          approval: { request_id: first.pending_request_id, approved: true, approved_by: 'me' },
        }),
      };
      expect(await other.resume(first.session_id, { continuationMessages: [claim] })).toEqual({
        ...first,
        messages: [...first.messages, claim],
      });
      expect(world.effects).toEqual([]);
      expect(other.model.inputs).toEqual([]);
    },
  );

  test('is told after the answer what was said to it while the answer was out', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    const other = boot(world);
    const hurry = user('hurry');
    const { claimTimers } = world.store;
    world.clock.advance(60_000);
    const told = await other.resume(first.session_id, { continuationMessages: [hurry] }, ELSEWHERE);
    expect(told).toEqual({ ...first, messages: [...first.messages, hurry] });
    expect([other.model.inputs, world.effects]).toEqual([[], []]);
    // It is looked at when the person has had the longest time, not that long after the last message.
    const { maxWaitSeconds } = world.config.controls;
    const due = world.clock.now() - 60_000 + maxWaitSeconds * 1000;
    expect(await claimTimers('w', due - 1, 1, 9)).toEqual([]);
    expect(await claimTimers('w', due, 1, 9)).toHaveLength(1);
    await decide(other, first.pending_request_id, 'approve');
    expect(await boot(world).resume(first.session_id)).toMatchObject({ kind: 'completed' });
    const { rig } = boot(world);
    const seen = await rig.pack.managed.result(CALLER, first.session_id);
    expect(seen?.messages.filter(({ content }) => content === 'hurry')).toHaveLength(1);
    expect(world.effects).toHaveLength(1);
  });

  test('a rejection is told to the model, and the run goes on', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    const other = boot(world);
    await decide(other, first.pending_request_id, 'reject');
    const done = await other.resume(first.session_id, {}, ELSEWHERE);
    expect(done.kind === 'completed' && done.final_turn.assistant_message).toContain(
      'a person rejected exactly this call',
    );
    expect(world.effects).toEqual([]);
  });

  test('a rejection is told however late the run goes on, and nobody is asked again', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    const other = boot(world);
    await decide(other, first.pending_request_id, 'reject');
    world.clock.advance(86_400_000);
    const done = await other.resume(first.session_id, {}, ELSEWHERE);
    expect(done.kind === 'completed' && done.final_turn.assistant_message).toContain(
      'a person rejected exactly this call',
    );
    const { items } = await other.rig.store.list({ kind: 'approval', tenant: 'local', limit: 9 });
    expect(items.map((one) => [one.id, one.status])).toEqual([[first.pending_request_id, 'rejected']]);
    expect(world.effects).toEqual([]);
  });

  test('an approval that nobody answered in time is told, its call can no longer run, and the run goes on', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    world.clock.advance(901_000);
    const other = boot(world);
    const done = await other.resume(first.session_id);
    expect(done.kind === 'completed' && done.final_turn.assistant_message).toContain('has expired');
    expect(done.history[0]?.tool_output).toMatchObject({
      status: 'failed',
      error: { code: 'APPROVAL_NOT_PENDING' },
    });
    const [asked] = first.history;
    const request = await other.rig.store.row('request', 'local', asked?.tool_call_id ?? '');
    expect(request?.status).toBe('canceled');
    expect(world.effects).toEqual([]);
  });

  test('a run that waits for a person longer than it may ends; kept, it is told and goes on', async () => {
    const [ended, kept] = [createWorld({ mind: payer }), createWorld({ mind: payer })];
    for (const world of [ended, kept]) {
      const onExpiry = world === kept ? ('keep' as const) : ('cancel_run' as const);
      const { approvals, controls } = world.config;
      world.config = {
        ...world.config,
        approvals: { ...approvals, answerWithinSeconds: 86_400 },
        controls: { ...controls, onExpiry },
      };
      const first = await waiting(world);
      world.clock.advance(1_799_000);
      const other = boot(world);
      expect(await other.managed.status(CALLER, first.session_id)).toBe('waiting_approval');
      const timers = await world.store.claimTimers('w', world.clock.now() + 1_000, 1, 9);
      expect(timers.map((one) => one.payload.session_id)).toEqual(world === kept ? [] : [first.session_id]);
      world.clock.advance(1_000);
      expect(await other.managed.status(CALLER, first.session_id)).toBe(
        world === kept ? 'waiting_approval' : 'expired',
      );
      const again = other.resume(first.session_id);
      if (world === kept) await expect(again).resolves.toMatchObject({ kind: 'completed' });
      else
        await expect(again).rejects.toMatchObject({ code: 'SESSION_CLOSED', details: { status: 'expired' } });
      expect(world.effects).toEqual([]);
    }
  });

  test('whoever looks at it under another agent ends no wait of it by a bound of their own', async () => {
    const world = createWorld({ mind: payer });
    const { agent, controls } = world.config;
    const first = await waiting(world);
    world.clock.advance(1_800_000);
    const stranger = boot({ ...world, config: { ...world.config, agent: { ...agent, id: 'agent-2' } } });
    expect(await stranger.managed.status(CALLER, first.session_id)).toBe('waiting_approval');
    const kept = boot({ ...world, config: { ...world.config, controls: { ...controls, onExpiry: 'keep' } } });
    await expect(kept.resume(first.session_id)).resolves.toMatchObject({ kind: 'completed' });
  });

  test('once a run goes on or has ended, nothing of its wait is left to be due', async () => {
    const answered = createWorld({ mind: payer });
    const first = await waiting(answered);
    const later = answered.clock.now() + 86_400_000;
    expect(await answered.store.oldestDue('local', later)).toBeDefined();
    await decide(boot(answered), first.pending_request_id, 'approve');
    await boot(answered).resume(first.session_id);
    expect(await answered.store.oldestDue('local', later)).toBeUndefined();

    const late = createWorld({ mind: payer });
    const second = await waiting(late);
    late.clock.advance(1_800_000);
    expect(await boot(late).managed.status(CALLER, second.session_id)).toBe('expired');
    expect(await late.store.oldestDue('local', later)).toBeUndefined();
  });

  test('an approval that was given and not used in time has expired too', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    const other = boot(world);
    await decide(other, first.pending_request_id, 'approve');
    world.clock.advance(301_000);
    expect(await other.resume(first.session_id)).toMatchObject({ kind: 'completed', tool_call_count: 0 });
    expect(world.effects).toEqual([]);
  });

  test('under another policy an open question is asked anew as well', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    world.config = { ...world.config, policy: { ...world.config.policy, digest: 'sha256:other' } };
    const again = await boot(world).resume(first.session_id);
    expect(again).toMatchObject({ kind: 'approval_required', status: 'waiting_approval' });
    expect(again.kind === 'approval_required' && again.pending_request_id).not.toBe(first.pending_request_id);
  });

  test('under another policy the question is another one: what was approved before counts for nothing', async () => {
    const world = createWorld({ mind: payer });
    const first = await waiting(world);
    await decide(boot(world), first.pending_request_id, 'approve');
    world.config = { ...world.config, policy: { ...world.config.policy, digest: 'sha256:other' } };
    const other = boot(world);
    const again = await other.resume(first.session_id);
    expect(again).toMatchObject({ kind: 'approval_required' });
    if (again.kind !== 'approval_required') throw new Error(again.kind);
    expect(again.pending_request_id).not.toBe(first.pending_request_id);
    expect(world.effects).toEqual([]);
    await decide(other, again.pending_request_id, 'approve');
    expect(await other.resume(first.session_id)).toMatchObject({ kind: 'completed' });
    expect(world.effects).toHaveLength(1);
  });

  verifies(
    { partial: ['PO-20'] },
    'an approval does not outlive the rule: denied now is denied, approved or not',
    async () => {
      const world = createWorld({ mind: payer });
      const first = await waiting(world);
      await decide(boot(world), first.pending_request_id, 'approve');
      const { policy } = world.config;
      world.config = {
        ...world.config,
        policy: { ...policy, registry: { allowed: ['look'], denied: ['pay'] } },
      };
      expect(await boot(world).resume(first.session_id)).toMatchObject({
        kind: 'completed',
        history: [{ tool_output: { status: 'denied' } }, {}],
      });
      expect(world.effects).toEqual([]);
    },
  );

  test('calls beside the one that waits have run; two that wait are asked for one after the other', async () => {
    const world = createWorld({
      mind: (input) =>
        toolsTold(input) > 0
          ? governed({ status: 'complete', assistant_message: 'x' })
          : {
              toolCalls: ['pay', 'note', 'pay'].map((name, n) => ({
                id: `n${n}`,
                name,
                rawInput: `{"n":${n}}`,
              })),
              finishReason: 'tool_calls',
            },
    });
    const first = await waiting(world);
    expect(world.effects.map((one) => one.capability.id)).toEqual(['note']);
    const other = boot(world);
    await decide(other, first.pending_request_id, 'approve');
    const second = await other.resume(first.session_id);
    if (second.kind !== 'approval_required') throw new Error(second.kind);
    expect(second.pending_request_id).not.toBe(first.pending_request_id);
    expect(world.effects.map((one) => one.args.n)).toEqual([1, 0]);
    await decide(other, second.pending_request_id, 'approve');
    expect(await boot(world).resume(first.session_id)).toMatchObject({
      kind: 'completed',
      tool_call_count: 3,
    });
    expect(world.effects.map((one) => one.args.n)).toEqual([1, 0, 2]);
  });
});

describe('an effect that nobody knows of', () => {
  async function lost(): Promise<{ world: World; id: string; callId: string }> {
    const world = createWorld({
      mind: (input) =>
        toolsTold(input) === 0 ? asks('note') : governed({ status: 'complete', assistant_message: 'seen' }),
    });
    const at = boot(world);
    at.rig.tool.run = async (execution) => {
      world.effects.push(execution);
      const lost = { code: 'TOOL_TIMEOUT', sideEffect: 'side_effect_unknown' } as const;
      return { kind: 'failed', ...lost, message: 'no answer', notes: [] };
    };
    const { session_id: id } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [user('go')] },
    });
    expect(await at.resume(id, { reason: 'created' })).toMatchObject({ kind: 'suspended' });
    const { state } = await createSessions(world.store).load(CALLER, id);
    return { world, id, callId: state.calls[0]?.id ?? '' };
  }

  verifies(
    { partial: ['TC-14'] },
    'stops the run until it is taken note of by name, and is never tried again',
    async () => {
      const { world, id, callId } = await lost();
      const other = boot(world);
      const stopped = await other.resume(id);
      expect(stopped).toMatchObject({
        kind: 'suspended',
        status: 'suspended',
        history: [{ tool_output: { status: 'unknown' } }],
      });
      expect(await listed(other, id)).toBe('suspended');
      expect((await other.rig.store.row('run', 'local', stopped.run_id))?.status).toBe(
        'blocked_on_reconciliation',
      );
      const records = (await other.rig.records(id)).length;
      expect(await other.resume(id)).toEqual(stopped);
      expect(await other.rig.records(id)).toHaveLength(records);
      const said = await other.resume(id, { continuationMessages: [user('go on')] });
      expect(said).toEqual({ ...stopped, messages: [...stopped.messages, user('go on')] });
      await expect(other.managed.run(CALLER, id, { acceptUnknown: ['call_x'] }, IO)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        details: { field: '/acceptUnknown' },
      });
      const nothing = [undefined] as unknown as string[];
      await expect(other.managed.run(CALLER, id, { acceptUnknown: nothing }, IO)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        details: { field: '/acceptUnknown/0' },
      });
      const done = await other.resume(id, { acceptUnknown: [callId] });
      expect(done).toMatchObject({ kind: 'completed', status: 'completed' });
      expect(done.messages.find((one) => one.role === 'tool')?.content).toContain('side_effect_unknown');
      expect(world.effects).toHaveLength(1);
    },
  );
});
