import { expect } from 'vitest';
import type { Caller } from '../../src/kernel/identity.ts';
import type { InspectKind } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  APPROVE,
  CALLER,
  IO,
  OK,
  open,
  OTHER,
  PERSON,
  place,
  refusal,
  REJECT,
  STRANGER,
  ticket,
} from './rig.ts';

verifies({ partial: ['SE-01', 'AP-04'] }, 'nobody sees or moves what belongs to another caller', async () => {
  const bench = await open(await place());
  const { runtime } = bench;
  const asked = await bench.ask('pay', { amount: 1 });
  const id = ticket(await bench.run(asked));
  const handles: [InspectKind, string][] = [
    ['session', asked.session_id],
    ['run', asked.run_id],
    ['request', asked.tool_call_id],
    ['approval', id],
  ];
  for (const foreign of [OTHER, STRANGER] satisfies Caller[]) {
    expect((await runtime.listSessions(foreign, {})).items).toEqual([]);
    expect((await runtime.listRequests(foreign, {})).items).toEqual([]);
    expect((await runtime.listApprovals(foreign, {})).items).toEqual([]);
    expect((await runtime.listRequests(foreign, { filter: { session_id: asked.session_id } })).items).toEqual(
      [],
    );
    for (const [kind, handle] of handles) {
      const unknown = `${handle.slice(0, 4)}${'0'.repeat(handle.length - 4)}`;
      const theirs = await refusal(runtime.inspect(foreign, kind, handle), handle);
      expect(theirs).toEqual(await refusal(runtime.inspect(foreign, kind, unknown), unknown));
      expect(theirs.code).toBe('NOT_FOUND');
    }
    const shown = await refusal(runtime.approvalPrompt(foreign, id), id);
    expect(shown).toEqual(await refusal(runtime.approvalPrompt(foreign, 'apr_0'), 'apr_0'));
    const call = (session: string, callId: string): Promise<unknown> =>
      runtime.callTool(foreign, { session_id: session, tool_call_id: callId }, IO);
    const called = await refusal(call(asked.session_id, asked.tool_call_id), asked.session_id);
    expect(called).toEqual(await refusal(call('ses_0', asked.tool_call_id), 'ses_0'));
    const turn = async (session: string): Promise<unknown> => {
      const said = await runtime.executeTurn(
        foreign,
        { session_id: session, messages: [{ role: 'user', content: 'hello' }] },
        IO,
      );
      return 'error' in said
        ? { ...said.error, message: said.error.message.replaceAll(session, '<id>') }
        : said;
    };
    expect(await turn(asked.session_id)).toMatchObject({ code: 'NOT_FOUND' });
    expect(JSON.stringify(await turn(asked.session_id)).replaceAll(asked.session_id, '<id>')).toBe(
      JSON.stringify(await turn('ses_0')).replaceAll('ses_0', '<id>'),
    );
  }
  expect(bench.effects).toEqual([]);
  expect((await runtime.inspect(CALLER, 'session', asked.session_id)).state.turn_count).toBe(1);
});

verifies(
  { partial: ['AP-07'] },
  'a foreign answer to an approval is answered like one to no approval',
  async () => {
    const bench = await open(await place());
    const { runtime } = bench;
    const id = ticket(await bench.run(await bench.ask('pay', { amount: 1 })));
    const answerer = { ...PERSON, tenant: STRANGER.tenant };
    const foreign = await refusal(runtime.deliverApproval(answerer, id, APPROVE), id);
    expect(foreign).toEqual(await refusal(runtime.deliverApproval(answerer, 'apr_0', APPROVE), 'apr_0'));
    const neighbour = { ...PERSON, principal: OTHER.principal };
    for (const delivery of [APPROVE, REJECT, { kind: 'timed_out' as const, latencyMs: 1 }]) {
      const near = await refusal(runtime.deliverApproval(neighbour, id, delivery), id);
      expect(near).toEqual(await refusal(runtime.deliverApproval(neighbour, 'apr_0', delivery), 'apr_0'));
      expect(near.code).toBe('NOT_FOUND');
    }
    expect((await runtime.inspect(CALLER, 'approval', id)).timeline).toHaveLength(1);
    // An operator sees the approval anyway, and is told why the answer does not count.
    const operator = { ...neighbour, roles: ['operator'] };
    expect(await runtime.deliverApproval(operator, id, APPROVE)).toMatchObject({
      ...{ state: 'pending', moved: false, why: 'only the principal may answer' },
    });
    expect((await runtime.inspect(CALLER, 'approval', id)).state.status).toBe('pending');
  },
);

verifies({ partial: ['IN-02'] }, 'an operator sees its whole tenant and no other', async () => {
  const bench = await open(await place());
  await bench.ask('note', { n: 1 });
  await bench.ask('note', { n: 2 }, {}, OTHER);
  await bench.ask('note', { n: 3 }, {}, STRANGER);
  const operator: Caller = { ...OTHER, principal: 'os:1', roles: ['operator'] };
  const seen = (await bench.runtime.listSessions(operator, {})).items;
  expect(seen.map((one) => one.principal_id).sort()).toEqual([CALLER.principal, OTHER.principal]);
  expect(new Set(seen.map((one) => one.tenant_id))).toEqual(new Set(['local']));
});

verifies(
  ['QB-04'],
  'sessions run side by side without mixing, and one session one turn at a time',
  async () => {
    const bench = await open(await place());
    const { runtime, tool } = bench;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    tool.run = async (execution) => {
      await gate;
      return { ...OK, content: [{ type: 'text', text: JSON.stringify(execution.args) }] };
    };
    const numbers = [...Array(12).keys()];
    const asked = [];
    for (const n of numbers) {
      asked.push(await bench.ask('note', { n }, {}, n % 2 === 0 ? CALLER : OTHER));
    }
    const callerOf = (n: number): Caller => (n % 2 === 0 ? CALLER : OTHER);
    const calls = asked.map((one, n) => bench.run(one, callerOf(n)));
    release();
    const answers = await Promise.all(calls);
    expect(answers.map((one) => one.result?.content)).toEqual(
      numbers.map((n) => [{ type: 'text', text: JSON.stringify({ n }) }]),
    );
    expect(new Set(answers.map((one) => one.session_id)).size).toBe(numbers.length);
    for (const [n, one] of asked.entries()) {
      const { timeline } = await runtime.inspect(callerOf(n), 'session', one.session_id);
      const started = timeline.filter((line) => line.type === 'call_started');
      expect(started.map((line) => line.arguments)).toEqual([{ n }]);
      expect(new Set(timeline.map((line) => line.principal_id ?? callerOf(n).principal))).toEqual(
        new Set([callerOf(n).principal]),
      );
    }

    const session = asked[0]?.session_id ?? '';
    const ask = { session_id: session, messages: [{ role: 'user' as const, content: 'and?' }] };
    const two = await Promise.all([
      runtime.executeTurn(CALLER, ask, IO),
      runtime.executeTurn(CALLER, ask, IO),
    ]);
    expect(two.map((one) => ('error' in one ? one.error.code : one.status)).sort()).toEqual([
      'CONFLICT',
      'reply',
    ]);
  },
);

verifies(
  { partial: ['QB-04'] },
  'a turn under way in one process keeps another process out of the session',
  async () => {
    const at = await place();
    const bench = await open(at);
    const { session_id } = await bench.turn();
    let began = (): void => undefined;
    let release = (): void => undefined;
    const running = new Promise<void>((resolve) => (began = resolve));
    const gate = new Promise<void>((resolve) => (release = resolve));
    const generate = bench.model.generate.bind(bench.model);
    bench.model.generate = async (input, options) => {
      began();
      await gate;
      return generate(input, options);
    };
    const ask = { session_id, messages: [{ role: 'user' as const, content: 'slowly' }] };
    const slow = bench.runtime.executeTurn(CALLER, ask, IO);
    await running;
    const other = await open(at, { fakeClock: bench.clock });
    const { state } = await other.runtime.inspect(CALLER, 'session', session_id);
    expect(state).toMatchObject({ run_status: 'in_progress', last_turn_status: 'in_progress' });
    const refused = await other.runtime.executeTurn(CALLER, ask, IO);
    expect(refused).toMatchObject({ error: { code: 'CONFLICT' } });
    expect(other.model.inputs).toEqual([]);
    release();
    expect(await slow).toMatchObject({ status: 'reply' });
    expect(await other.runtime.executeTurn(CALLER, ask, IO)).toMatchObject({ status: 'reply' });
  },
);
