import { expect, test } from 'vitest';
import type { Answerer, Delivery } from '../../src/kernel/approvals/approval.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  APPROVE,
  CALLER,
  configFor,
  IO,
  open,
  OTHER,
  PERSON,
  place,
  REJECT,
  says,
  ticket,
  types,
} from './rig.ts';
import type { Bench } from './rig.ts';

verifies(
  ['AP-03'],
  'an approved call runs once when it is repeated, with the approved arguments',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('pay', { amount: 12, to: 'Ada' });
    expect(asked.decision?.decision).toBe('approval_required');
    const id = ticket(await bench.run(asked));
    expect(bench.effects).toEqual([]);
    expect(ticket(await bench.run(asked))).toBe(id);

    expect(await bench.runtime.deliverApproval(PERSON, id, APPROVE)).toMatchObject({
      state: 'approved',
      moved: true,
    });
    expect(bench.effects).toEqual([]);
    const both = await Promise.all([bench.run(asked), bench.run(asked)]);
    expect(both.map((one) => one.status)).toEqual(['done', 'done']);
    const again = await bench.run(asked);
    expect(again).toMatchObject({
      status: 'done',
      side_effect_status: 'applied',
      result: { replayed: true },
    });
    expect(bench.effects.map((one) => one.args)).toEqual([{ amount: 12, to: 'Ada' }]);
    expect((await bench.runtime.inspect(CALLER, 'approval', id)).state.status).toBe('consumed');

    bench.model.next(says('paid'));
    await bench.turn({ session_id: asked.session_id });
    expect(JSON.stringify(bench.model.inputs.at(-1)?.messages)).toContain('"success\\":true');
  },
);

verifies(['AP-04'], 'a pending approval outlives its process and is answered by another one', async () => {
  const at = await place();
  const first = await open(at);
  const asked = await first.ask('pay', { amount: 1 });
  const id = ticket(await first.run(asked));
  const done = ticket(await first.run(await first.ask('pay', { amount: 2 })));
  await first.runtime.deliverApproval(PERSON, done, REJECT);
  await first.runtime.close();

  const answering = await open(at, { fakeClock: first.clock });
  const idsOf = async (filter?: { status?: string; tool?: string }): Promise<unknown[]> =>
    (await answering.runtime.listApprovals(CALLER, filter === undefined ? {} : { filter })).items.map(
      (one) => one.approval_id,
    );
  expect((await idsOf()).sort()).toEqual([id, done].sort());
  expect(await idsOf({ status: 'pending' })).toEqual([id]);
  expect(await idsOf({ status: 'rejected' })).toEqual([done]);
  expect(await idsOf({ status: 'pending', tool: 'pay' })).toEqual([id]);
  expect(await idsOf({ status: 'pending', tool: 'note' })).toEqual([]);

  const running = await open(at, { fakeClock: first.clock });
  expect((await answering.runtime.deliverApproval(PERSON, id, APPROVE)).moved).toBe(true);
  expect((await running.run(asked)).status).toBe('done');
  expect((await answering.run(asked)).result?.replayed).toBe(true);
  expect([running.effects.length, answering.effects.length]).toEqual([1, 0]);
});

verifies(
  { partial: ['AP-04', 'IN-11'] },
  'approvals can be filtered by the session that asked for them',
  async () => {
    const bench = await open(await place());
    const one = await bench.ask('pay', { amount: 1 });
    const two = await bench.ask('pay', { amount: 2 });
    const id = ticket(await bench.run(one));
    ticket(await bench.run(two));
    const found = await bench.runtime.listApprovals(CALLER, { filter: { session_id: one.session_id } });
    expect(found.items.map((item) => item.approval_id)).toEqual([id]);
  },
);

verifies({ partial: ['AP-05'] }, 'an approval shows whom, what and when it is about', async () => {
  const bench = await open(await place());
  const asked = await bench.ask('pay', { amount: 12, password: 'hunter2-secret' });
  const id = ticket(await bench.run(asked));
  const pending = (await bench.runtime.listApprovals(CALLER, {})).items[0];
  expect(pending).toMatchObject({
    approval_id: id,
    status: 'pending',
    trace_id: asked.trace_id,
    session_id: asked.session_id,
    run_id: asked.run_id,
    tool_call_id: asked.tool_call_id,
    tenant_id: 'local',
    principal_id: CALLER.principal,
    requested_by: CALLER.actor,
    capability_name: 'pay',
    reviewer: 'principal',
    arguments: { amount: 12 },
    requested_at: '2026-01-01T00:00:00.000Z',
    answer_by: '2026-01-01T00:15:00.000Z',
  });
  expect(pending?.reason).not.toBe('');
  bench.clock.advance(60_000);
  const noted: Delivery = {
    kind: 'answered',
    decision: 'approve',
    latencyMs: 4000,
    note: 'checked with Ada',
  };
  await bench.runtime.deliverApproval(PERSON, id, noted);
  const { state } = await bench.runtime.inspect(CALLER, 'approval', id);
  expect(state).toMatchObject({
    status: 'approved',
    resolution_note: 'checked with Ada',
    answered_by: { principal_id: PERSON.principal, channel: 'elicitation' },
    use_by: '2026-01-01T00:06:00.000Z',
    deliveries: [{ channel: 'elicitation', kind: 'answered' }],
  });
});

verifies(['AP-07'], 'an approval leaves pending once, whoever answers it and from wherever', async () => {
  const at = await place();
  const here = await open(at);
  const there = await open(at, { fakeClock: here.clock });
  const id = ticket(await here.run(await here.ask('pay', { amount: 1 })));
  const answers = await Promise.allSettled([
    here.runtime.deliverApproval(PERSON, id, APPROVE),
    there.runtime.deliverApproval(PERSON, id, REJECT),
    here.runtime.deliverApproval(PERSON, id, REJECT),
    there.runtime.deliverApproval(PERSON, id, APPROVE),
  ]);
  const outcomes = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(outcomes).toHaveLength(4);
  expect(outcomes.filter((one) => one.moved)).toHaveLength(1);
  const why = `Approval request is not pending: ${id}`;
  for (const one of outcomes.filter(({ moved }) => !moved)) expect(one.why).toBe(why);
  const second = await there.runtime.deliverApproval(PERSON, id, APPROVE);
  expect(second).toMatchObject({ moved: false, why });
  const { timeline } = await here.runtime.inspect(CALLER, 'approval', id);
  expect(
    timeline.filter((line) => line.type === 'approval_approved' || line.type === 'approval_rejected'),
  ).toHaveLength(1);
  await expect(here.runtime.deliverApproval(PERSON, 'apr_nowhere', APPROVE)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'Approval request not found: apr_nowhere',
  });
});

verifies(['AP-11'], 'a call that waits holds up neither its siblings nor other sessions', async () => {
  const bench = await open(await place());
  bench.model.next({
    text: '',
    toolCalls: ['pay', 'note', 'look'].map((name) => ({ id: name, name, rawInput: '{"n":1}' })),
    finishReason: 'tool_calls',
  });
  const asked = await bench.turn();
  const calls = asked.requested_tools ?? [];
  expect(calls.map((one) => one.name)).toEqual(['pay', 'note', 'look']);
  const answers = await Promise.all(
    calls.map((one) => bench.run({ session_id: asked.session_id, tool_call_id: one.tool_call_id })),
  );
  expect(answers.map((one) => one.status)).toEqual(['approval_required', 'done', 'done']);
  expect((await bench.run(await bench.ask('note', { n: 2 }))).status).toBe('done');
  expect((await bench.run(await bench.ask('note', { n: 3 }, {}, OTHER), OTHER)).status).toBe('done');
  expect((await bench.turn({ session_id: asked.session_id })).status).toBe('reply');
  const waiting = await bench.runtime.listRequests(CALLER, { filter: { status: 'waiting_approval' } });
  expect(waiting.items.map((one) => one.request_id)).toEqual([calls[0]?.tool_call_id]);
});

verifies(['AP-12'], 'an approval is good for exactly what was shown', async () => {
  const bench = await open(await place());
  const small = await bench.ask('pay', { amount: 1 });
  const id = ticket(await bench.run(small));
  const prompt = await bench.runtime.approvalPrompt(CALLER, id);
  expect(prompt.text).toContain('amount = 1');
  await bench.runtime.deliverApproval(PERSON, id, APPROVE);

  const large = await bench.ask('pay', { amount: 1000 }, { session_id: small.session_id });
  const other = await bench.run(large);
  expect(ticket(other)).not.toBe(id);
  expect(other.approval?.action_digest).not.toBe(prompt.action_digest);
  const named = bench.runtime.callTool(
    CALLER,
    { session_id: large.session_id, tool_call_id: large.tool_call_id, approval_id: id },
    IO,
  );
  await expect(named).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(bench.effects).toEqual([]);
  expect((await bench.run(small)).status).toBe('done');
  expect(bench.effects.map((one) => one.args)).toEqual([{ amount: 1 }]);
});

test('a client is asked only where its principal may answer, and is sent nowhere else', async () => {
  const at = await place();
  const base = configFor(at);
  const asked = async (approver: string, roles: string[] = []): Promise<[boolean, unknown]> => {
    const pay = { ...base.capabilities.pay!, approval: { approver } };
    const bench = await open(at, { config: { ...base, capabilities: { ...base.capabilities, pay } } });
    const caller = { ...CALLER, roles };
    const answer = await bench.run(await bench.ask('pay', { amount: 1 }, {}, caller), caller);
    const prompt = await bench.runtime.approvalPrompt(caller, ticket(answer));
    await bench.runtime.close();
    return [prompt.askable, answer.approval?.answer_at.includes('elicitation')];
  };
  expect(await asked('principal')).toEqual([true, true]);
  expect(await asked('other')).toEqual([false, false]);
  expect(await asked('other', ['approver'])).toEqual([false, false]);
  expect(await asked('role:manager')).toEqual([false, true]);
  expect(await asked('role:manager', ['manager'])).toEqual([true, true]);
});

test('equal calls wait for one approval, and each may name it when it is repeated', async () => {
  const bench = await open(await place());
  bench.model.next({
    text: '',
    toolCalls: ['a', 'b'].map((id) => ({ id, name: 'pay', rawInput: '{"amount":1}' })),
    finishReason: 'tool_calls',
  });
  const { session_id, requested_tools: tools = [] } = await bench.turn();
  const [first, second] = tools.map(({ tool_call_id }) => ({ session_id, tool_call_id }));
  const id = ticket(await bench.run(first!));
  expect(ticket(await bench.run(second!))).toBe(id);
  const named = (of: typeof first): Promise<CallAnswer> =>
    bench.runtime.callTool(CALLER, { ...of!, approval_id: id }, IO);
  expect(ticket(await named(second))).toBe(id);
  await bench.runtime.deliverApproval(PERSON, id, APPROVE);
  expect((await named(second)).status).toBe('done');
  expect(await named(second)).toMatchObject({ status: 'done', result: { replayed: true } });
  expect(ticket(await named(first))).not.toBe(id);
  expect(bench.effects).toHaveLength(1);
});

test('lists, health and inspection say that an approval has expired before anybody touches it', async () => {
  const bench = await open(await place());
  const { runtime } = bench;
  const id = ticket(await bench.run(await bench.ask('pay', { amount: 1 })));
  bench.clock.advance(900_000);
  const statuses = async (status: string): Promise<unknown[]> =>
    (await runtime.listApprovals(CALLER, { filter: { status } })).items.map((one) => one.status);
  expect(await statuses('expired')).toEqual(['expired']);
  expect(await statuses('pending')).toEqual([]);
  const later = ticket(await bench.run(await bench.ask('pay', { amount: 2 })));
  bench.clock.advance(900_000);
  expect((await runtime.inspect(CALLER, 'approval', later)).state).toMatchObject({ status: 'expired' });
  await bench.run(await bench.ask('pay', { amount: 3 }));
  bench.clock.advance(900_000);
  const { checks } = await runtime.getHealth(CALLER);
  expect(checks.find((one) => one.check === 'approvals')).toMatchObject({
    ...{ status: 'warn', detail: 'nothing waits for a person; 3 ran out in the last day' },
  });
  const found = await runtime.inspect(CALLER, 'approval', id);
  expect(types(found)).toEqual(['approval_requested', 'approval_expired']);
});

verifies(['AP-13'], 'an approval expires unanswered and unused, and is then never used', async () => {
  const bench = await open(await place());
  const asked = await bench.ask('pay', { amount: 1 });
  const unanswered = ticket(await bench.run(asked));
  bench.clock.advance(900_000);
  expect(await bench.runtime.deliverApproval(PERSON, unanswered, APPROVE)).toMatchObject({
    state: 'expired',
    moved: false,
  });
  const unused = ticket(await bench.run(asked));
  expect(unused).not.toBe(unanswered);
  await bench.runtime.deliverApproval(PERSON, unused, APPROVE);
  bench.clock.advance(300_000);
  const third = ticket(await bench.run(asked));
  expect([unanswered, unused]).not.toContain(third);
  const expired = await bench.runtime.listApprovals(CALLER, { filter: { status: 'expired' } });
  expect(expired.items.map((one) => one.approval_id).sort()).toEqual([unanswered, unused].sort());
  expect(bench.effects).toEqual([]);

  await bench.runtime.deliverApproval(PERSON, third, APPROVE);
  bench.clock.advance(299_999);
  expect((await bench.run(asked)).status).toBe('done');
});

verifies(
  ['AP-16'],
  'inspecting a run that waited shows request and resolution of its approval before the tool ran',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('pay', { amount: 1 });
    const id = ticket(await bench.run(asked));
    bench.clock.advance(5);
    await bench.runtime.deliverApproval(PERSON, id, APPROVE);
    bench.clock.advance(5);
    await bench.run(asked);
    const run = await bench.runtime.inspect(CALLER, 'run', asked.run_id);
    const rest = types(run).filter((type) => type !== 'approval_delivered');
    expect(rest.slice(0, 3)).toEqual(['session_started', 'turn_started', 'turn_completed']);
    expect(rest.slice(3, 5).sort()).toEqual(['approval_requested', 'call_waiting']);
    expect(rest.slice(5)).toEqual([
      'approval_approved',
      'approval_consumed',
      'call_started',
      'call_finished',
    ]);
    expect(run.timeline.find((line) => line.type === 'call_started')).toMatchObject({ approval_id: id });
  },
);

verifies(
  ['AP-18'],
  'a reviewer approves or rejects with a note: the note is kept, and a rejection reaches the model with it',
  async () => {
    const at = await place();
    const bench = await open(at);
    const answer = (decision: 'approve' | 'reject', note: string): Delivery => ({
      kind: 'answered',
      decision,
      latencyMs: 4000,
      note,
    });
    const good = await bench.ask('pay', { amount: 1 });
    const bad = await bench.ask('pay', { amount: 2 });
    const ids = [ticket(await bench.run(good)), ticket(await bench.run(bad))];
    const notes = ['paid from the travel budget', 'not before the invoice — wait'] as const;
    await bench.runtime.deliverApproval(PERSON, ids[0]!, answer('approve', notes[0]));
    await bench.runtime.deliverApproval(PERSON, ids[1]!, answer('reject', notes[1]));
    expect(await bench.run(good)).toMatchObject({ status: 'done' });
    const refused = await bench.run(bad);
    expect(refused).toMatchObject({ status: 'denied', side_effect_status: 'not_executed' });
    expect(refused.decision.reasons[0]).toBe(`a person rejected exactly this call: ${notes[1]}`);
    expect(bench.effects.map((one) => one.args)).toEqual([{ amount: 1 }]);

    await bench.turn({ session_id: bad.session_id, messages: [] });
    expect(bench.model.inputs.at(-1)?.messages.at(-1)).toMatchObject({
      role: 'tool',
      toolCallId: bad.tool_call_id,
      isError: true,
      content: expect.stringContaining(`a person rejected exactly this call: ${notes[1]}`) as unknown,
    });
    await bench.runtime.close();

    const later = await open(at, { fakeClock: bench.clock });
    const kept = ids.map((id) => later.runtime.inspect(CALLER, 'approval', id));
    const [approved, rejected] = await Promise.all(kept);
    expect(approved?.state).toMatchObject({ status: 'consumed', resolution_note: notes[0] });
    expect(rejected?.state).toMatchObject({ status: 'rejected', resolution_note: notes[1] });
    expect(rejected?.timeline.find((line) => line.type === 'approval_rejected')).toMatchObject({
      resolution_note: notes[1],
    });
  },
);

verifies(
  ['AP-09'],
  'only whom the rule names may answer, never the agent, and in time: what is late is overdue, then expired, and never runs',
  async () => {
    const at = await place();
    const base = configFor(at);
    const approvals = { ...base.approvals, escalationSlaMinutes: 10, answerWithinSeconds: 1800 };
    const asking = async (approver: string): Promise<Bench> => {
      const pay = { ...base.capabilities.pay!, approval: { approver } };
      const capabilities = { ...base.capabilities, pay };
      return open(at, { config: { ...base, approvals, capabilities } });
    };
    const MANAGER = { ...PERSON, principal: 'os:2', roles: ['manager'] };
    const SELF: Answerer = { ...PERSON, roles: ['approver', 'admin', 'operator'] };
    const mayNot = { moved: false, state: 'pending' };

    const byRole = await asking('role:manager');
    const asked = await byRole.ask('pay', { amount: 1 });
    const id = ticket(await byRole.run(asked));
    expect(await byRole.runtime.deliverApproval(SELF, id, APPROVE)).toMatchObject({
      ...{ ...mayNot, why: 'only somebody with the role manager may answer' },
    });
    expect(ticket(await byRole.run(asked))).toBe(id);
    expect(byRole.effects).toEqual([]);
    expect(await byRole.runtime.deliverApproval(MANAGER, id, APPROVE)).toMatchObject({ moved: true });
    expect((await byRole.run(asked)).status).toBe('done');
    await byRole.runtime.close();

    const byOther = await asking('other');
    const call = await byOther.ask('pay', { amount: 2 });
    const own = ticket(await byOther.run(call));
    expect(await byOther.runtime.deliverApproval(SELF, own, APPROVE)).toMatchObject({
      ...{ ...mayNot, why: 'somebody other than the principal must answer' },
    });
    // Nor may whoever speaks through the agent's own client, whatever it says it is.
    const client: Answerer = { ...SELF, attestation: 'client', channel: 'elicitation' };
    expect(await byOther.runtime.deliverApproval(client, own, APPROVE)).toMatchObject(mayNot);
    expect((await byOther.runtime.approvalPrompt(CALLER, own)).askable).toBe(false);

    const listed = async (): Promise<unknown[]> => {
      const { items } = await byOther.runtime.listApprovals(CALLER, {});
      const one = items.find(({ approval_id }) => approval_id === own);
      const { checks } = await byOther.runtime.getHealth(CALLER);
      return [one?.status, one?.overdue, checks.find(({ check }) => check === 'approvals')?.status];
    };
    byOther.clock.advance(10 * 60_000 - 1);
    expect(await listed()).toEqual(['pending', undefined, 'warn']);
    byOther.clock.advance(1);
    expect(await listed()).toEqual(['pending', true, 'fail']);
    byOther.clock.advance(20 * 60_000);
    expect((await listed()).slice(0, 2)).toEqual(['expired', undefined]);
    const STRANGER = { ...PERSON, principal: 'os:2' };
    expect(await byOther.runtime.deliverApproval(STRANGER, own, APPROVE)).toMatchObject({ moved: false });
    expect(byOther.effects).toEqual([]);
    expect(ticket(await byOther.run(call))).not.toBe(own);
  },
);
