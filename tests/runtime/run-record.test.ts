// What a session and the record of each of its runs say, from the journal alone.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { relayRig } from './relay-rig.ts';
import { APPROVE, CALLER, open, PERSON, place, says, ticket } from './rig.ts';

verifies(
  ['IN-10'],
  'a session shows its state, its runs, and each receipt, decision and event of theirs once, also after a restart',
  async () => {
    const at = await place();
    const bench = await open(at);
    const asked = await bench.ask('pay', { amount: 1 });
    const { session_id } = asked;
    const id = ticket(await bench.run(asked));
    ticket(await bench.run(asked)); // asked again, it waits for the same person
    await bench.runtime.deliverApproval(PERSON, id, APPROVE);
    const paid = await bench.run(asked);
    expect((await bench.run(asked)).status).toBe('done'); // and answered from its record
    bench.model.next(says('paid'));
    await bench.turn({ session_id, messages: [] });
    const next = await bench.ask('note', { n: 1 }, { session_id });
    const noted = await bench.run(next);
    await bench.runtime.close();

    const later = await open(at, { fakeClock: bench.clock });
    const found = await later.runtime.inspect(CALLER, 'session', session_id);
    expect(found.state).toMatchObject({ status: 'open', run_status: 'in_progress', turn_count: 3 });
    expect(found.links).toMatchObject({
      run_ids: expect.arrayContaining([asked.run_id, next.run_id]) as unknown,
      trace_ids: [asked.trace_id, next.trace_id],
      approval_ids: [id],
    });
    expect(found.links.run_ids).toHaveLength(2);
    expect(found.receipts.map((one) => one.receipt_id)).toEqual([...paid.receipt_ids, ...noted.receipt_ids]);
    const decided = found.decisions.map((one) => [one.call_id, one.tool, one.decision]);
    expect(decided).toEqual([
      [asked.tool_call_id, 'pay', 'approval_required'],
      [next.tool_call_id, 'note', 'allow'],
    ]);
    const places = found.timeline.map((line) => `${line.chain as string}#${line.seq as number}`);
    expect(new Set(places).size).toBe(places.length);
    expect(found.timeline.map((line) => line.seq)).toEqual(places.map((_, index) => index + 1));
  },
);

verifies(
  ['SE-01'],
  'the record of a run holds what was asked and answered, on whose behalf, through what, and why it failed, across a restart',
  async () => {
    const rig = await relayRig();
    const done = await rig.ask('relay:progress', { steps: 1 });
    const id = ticket(await rig.run(done));
    await rig.runtime.deliverApproval(PERSON, id, APPROVE);
    const ran = await rig.run(done);
    rig.model.next(says('it is counted'));
    await rig.turn({ session_id: done.session_id, messages: [] });
    await rig.runtime.close();

    const later = await rig.another();
    const session = await later.runtime.inspect(CALLER, 'session', done.session_id);
    expect(session.state).toMatchObject({
      ...{ session_id: done.session_id, tenant_id: 'local', principal_id: CALLER.principal },
      ...{ turn_count: 2, run_status: 'success' },
    });
    expect(session.links.trace_ids).toEqual([done.trace_id]);
    const { state } = await later.runtime.inspect(CALLER, 'run', done.run_id);
    expect(state).toMatchObject({
      trace_id: done.trace_id,
      status: 'success',
      user_input: 'please',
      output_text: 'it is counted',
      failure_reason: null,
      capability_session_id: ran.capability_session_id,
      capability_session_status: 'completed', // with the process that held it
      authorization_mode: 'platform_owned',
      delegated_principal_id: '',
      delegated_scope: '',
      idempotency_key: null,
      approval_id: id,
      request_agent_id: 'agent-1',
    });

    const bench = await open(await place());
    const keyed = await bench.ask('ticket', { key: 'k1' });
    await bench.run(keyed);
    bench.model.next(new Error('the model broke'));
    const failed = await bench.runtime.executeTurn(
      CALLER,
      { session_id: keyed.session_id, messages: [] },
      { signal: new AbortController().signal },
    );
    if (!('error' in failed)) throw new Error('it did not fail');
    const run = await bench.runtime.inspect(CALLER, 'run', keyed.run_id);
    expect(run.state).toMatchObject({
      status: 'failed',
      output_text: '',
      failure_reason: `${failed.error.code}: ${failed.error.message}`,
      idempotency_key: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown, // never the key itself
      capability_session_id: null,
      capability_session_status: null,
      approval_id: null,
    });
    const call = { tool: 'forbidden', args: {} };
    const direct = await bench.runtime.callCapability(CALLER, call, { signal: new AbortController().signal });
    const denied = await bench.runtime.inspect(CALLER, 'run', direct.run_id);
    expect(denied.state).toMatchObject({
      ...{ status: 'denied', user_input: null, output_text: null },
      failure_reason: direct.decision.reasons.join('; '),
    });
  },
);
