// Capability sessions as a host and an operator see them over a run's life: apart from the run, rebuilt under policy, with
// an owner, and free where nothing needs one.
import { expect } from 'vitest';
import type { CallAnswer, Inspection } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { relayRig, textOf } from './relay-rig.ts';
import type { RelayRig } from './relay-rig.ts';
import { APPROVE, CALLER, IO, open, PERSON, place, ticket, types } from './rig.ts';
import type { Bench } from './rig.ts';

const MANAGER = { ...PERSON, roles: ['manager'] };

const look = ({ runtime }: Bench, id: string | undefined): Promise<Inspection> =>
  runtime.inspect(CALLER, 'capability_session', id ?? '');

async function listed({ runtime }: Bench, status: string): Promise<unknown[]> {
  const { items } = await runtime.listCapabilitySessions(CALLER, { filter: { status } });
  return items.map((one) => one.capability_session_id);
}

function camelKeys(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(camelKeys);
  if (typeof value !== 'object' || value === null) return [];
  const own = Object.keys(value).filter((key) => /[A-Z]/.test(key));
  return [...own, ...Object.values(value).flatMap(camelKeys)];
}

interface Lost {
  handle: { session_id: string; tool_call_id: string };
  /** The session that the server forgot, and the answer of the call that found it so. */
  first: string;
  expired: CallAnswer;
}

/** A call whose connection the server had forgotten; it did not run. */
async function lost(rig: RelayRig, text = 'again'): Promise<Lost> {
  const done = await rig.run(await rig.ask('relay:echo', { text: 'first' }));
  await rig.relay.forget();
  const { session_id, tool_call_id } = await rig.ask('relay:echo', { text });
  const handle = { session_id, tool_call_id };
  return { handle, first: done.capability_session_id ?? '', expired: await rig.run(handle) };
}

verifies(
  ['CS-01'],
  'one run holds several capability sessions, each a record of its own, and each shows the other by its id',
  async () => {
    const rig = await relayRig();
    const before = await rig.ask('relay:echo', { text: 'a' });
    const { session_id, run_id, trace_id } = before;
    const first = await rig.run(before);
    await rig.relay.forget();
    const next = await rig.ask('relay:echo', { text: 'b' }, { session_id });
    expect(next).toMatchObject({ session_id, run_id, trace_id });
    const expired = await rig.run(next);
    const handle = { session_id, tool_call_id: next.tool_call_id };
    const resume_token = expired.resume_token ?? '';
    const second = await rig.runtime.callTool(CALLER, { ...handle, resume_token }, IO);
    expect([first.status, second.status]).toEqual(['done', 'done']);
    const ids = [first, second].map((one) => one.capability_session_id);
    expect(new Set([...ids, run_id, session_id]).size).toBe(4);

    for (const [kind, id] of [
      ['run', run_id],
      ['session', session_id],
    ] as const) {
      const { links, state } = await rig.runtime.inspect(CALLER, kind, id);
      expect(links.capability_session_ids, kind).toEqual(ids);
      expect([state.run_id, state.trace_id]).toEqual([run_id, trace_id]);
    }
    const request = await rig.runtime.inspect(CALLER, 'request', next.tool_call_id);
    expect(request.links.capability_session_ids).toEqual([ids[1]]);
    for (const [at, id] of ids.entries()) {
      const { state, links } = await look(rig, id);
      expect(state).toMatchObject({
        capability_session_id: id,
        capability_session_status: ['expired', 'in_progress'][at],
        ...{ run_id, trace_id },
      });
      expect(links.run_ids).toEqual([run_id]);
    }
    // A run that is over does not end what it went through, nor the other way round.
    expect((await rig.runtime.inspect(CALLER, 'run', run_id)).state.status).toBe('in_progress');
  },
);

verifies(
  ['CS-10'],
  'an operator sees what expired and why, what must be retried and until when, and what resumed',
  async () => {
    const rig = await relayRig();
    const { handle, first, expired } = await lost(rig);
    const next = expired.capability_session_id ?? '';
    expect(await listed(rig, 'expired')).toEqual([first]);
    expect(await listed(rig, 'resumable')).toEqual([next]);
    const old = await look(rig, first);
    expect(old.state).toMatchObject({ cause: 'http_404', reinitialized_as: next, must_retry: [] });
    expect(types(old)).toEqual([
      ...['capability_session_opened', 'capability_session_lost', 'capability_session_reinitialized'],
    ]);
    const waiting = await look(rig, next);
    expect(waiting.state).toMatchObject({
      reinitialized_from: first,
      must_retry: [handle.tool_call_id],
      retry_until: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
    });
    expect(waiting.links.request_ids).toEqual([handle.tool_call_id]);
    const { items } = await rig.runtime.listRequests(CALLER, { filter: { status: 'expired' } });
    expect(items.map((one) => one.request_id)).toEqual([handle.tool_call_id]);

    const resume_token = expired.resume_token ?? '';
    expect((await rig.runtime.callTool(CALLER, { ...handle, resume_token }, IO)).status).toBe('done');
    const resumed = await look(rig, next);
    expect(resumed.state).toMatchObject({ capability_session_status: 'in_progress', must_retry: [] });
    expect(types(resumed)).toEqual([
      ...['capability_session_opened', 'capability_resume_offered', 'capability_session_resumed'],
    ]);
    expect(camelKeys([old, waiting, resumed])).toEqual([]);

    const asking = await relayRig({ reinitRequiresApproval: true });
    const held = await lost(asking);
    expect(await listed(asking, 'reinitialize_required')).toEqual([held.first]);
    expect((await look(asking, held.first)).state.must_retry).toEqual([held.handle.tool_call_id]);
  },
);

verifies(
  ['CS-07'],
  'a rebuilt session has an id of its own, linked both ways, and what goes on through it is decided and approved anew',
  async () => {
    const rig = await relayRig();
    const first = await rig.run(await rig.ask('relay:echo', { text: 'first' }));
    const { session_id, tool_call_id, run_id } = await rig.ask('relay:progress', { steps: 1 });
    const handle = { session_id, tool_call_id };
    const asked = ticket(await rig.run(handle));
    await rig.runtime.deliverApproval(PERSON, asked, APPROVE);
    await rig.relay.forget();
    const expired = await rig.run(handle);
    const next = expired.capability_session_id ?? '';
    expect(expired).toMatchObject({ status: 'expired', side_effect_status: 'not_executed' });
    expect((await look(rig, next)).links.reinitialized_from).toBe(first.capability_session_id);
    expect((await look(rig, first.capability_session_id)).links.reinitialized_as).toBe(next);

    const again = await rig.runtime.callTool(
      CALLER,
      { ...handle, resume_token: expired.resume_token ?? '' },
      IO,
    );
    const askedAgain = ticket(again);
    expect(askedAgain).not.toBe(asked);
    await rig.runtime.deliverApproval(PERSON, askedAgain, APPROVE);
    const done = await rig.run(handle);
    expect([done.status, textOf(done), done.capability_session_id]).toEqual(['done', '1 steps', next]);
    const { decisions, links } = await rig.runtime.inspect(CALLER, 'run', run_id);
    expect(decisions.every((one) => one.decision === 'approval_required')).toBe(true);
    expect(links.approval_ids).toEqual([asked, askedAgain]);

    // What policy has come to deny meanwhile does not run, whatever had been approved or offered.
    const other = await relayRig();
    const { handle: denied, expired: offered } = await lost(other);
    const { policy } = other.config;
    const registry = { allowed: policy.registry.allowed, denied: ['relay:echo'] };
    const stricter = await other.another(
      {},
      { config: { ...other.config, policy: { ...policy, registry } } },
    );
    const refused = await stricter.runtime.callTool(
      CALLER,
      { ...denied, resume_token: offered.resume_token ?? '' },
      IO,
    );
    expect(refused).toMatchObject({ status: 'denied', side_effect_status: 'not_executed' });
  },
);

verifies(
  ['CS-06'],
  'what becomes of an expired session is what the configuration says, and the record names who is to be told',
  async () => {
    const owner = { expirySignalOwner: 'team-clock' };
    const policies = [
      [{}, 'expired', 'expired', ['connection'], true],
      [{ reinitRequiresApproval: true }, 'expired', 'reinitialize_required', [], true],
      [{ onExpiry: 'cancel' as const }, 'canceled', 'canceled', [], false],
    ] as const;
    for (const [over, answered, status, resumed, isOffered] of policies) {
      const rig = await relayRig({ ...over, ...owner });
      const { handle, first, expired } = await lost(rig);
      expect(expired).toMatchObject({
        status: answered,
        side_effect_status: 'not_executed',
        expiry: {
          ...{ expired_capability_session_id: first, cause: 'http_404', resumed },
          must_retry: isOffered ? [handle.tool_call_id] : [],
        },
      });
      expect(expired.resume_token !== undefined).toBe(isOffered);
      const { state, timeline } = await look(rig, first);
      expect(state).toMatchObject({ capability_session_status: status, cause: 'http_404' });
      const told = timeline.find((line) => line.type === 'capability_session_lost');
      expect(told).toMatchObject({ cause: 'http_404', signal_owner: 'team-clock' });

      const token = isOffered ? { resume_token: expired.resume_token ?? '' } : {};
      const again = rig.runtime.callTool(CALLER, { ...handle, ...token }, IO);
      if (status === 'canceled') {
        // The call is over; whoever wants its work asks anew, in a session that continues nothing.
        expect(await again).toMatchObject({ status: 'canceled' });
        const fresh = await rig.run(await rig.ask('relay:echo', { text: 'anew' }));
        expect(fresh.status).toBe('done');
        expect((await look(rig, fresh.capability_session_id)).state).not.toHaveProperty('reinitialized_from');
      } else if (status === 'reinitialize_required') {
        await rig.runtime.deliverApproval(MANAGER, ticket(await again), APPROVE);
        expect((await rig.run(handle)).status).toBe('done');
      } else {
        expect((await again).status).toBe('done');
      }
    }
  },
);

/** What each commit appends, from now on. */
function commitsOf({ runtime: { store } }: Bench): string[][] {
  const commits: string[][] = [];
  const commit = store.commit.bind(store);
  store.commit = (made) => {
    commits.push((made.appends ?? []).map(({ chain, type }) => `${chain.aggregate} ${type}`));
    return commit(made);
  };
  return commits;
}

verifies(
  ['CS-11'],
  'a call that needs no connection writes nothing of sessions, and one through an open connection no more than it',
  async () => {
    const bench = await open(await place());
    await bench.run(await bench.ask('note', { n: 0 }));
    const asked = await bench.ask('note', { n: 1 });
    const commits = commitsOf(bench);
    const done = await bench.run(asked);
    expect(done.status).toBe('done');
    expect(done).not.toHaveProperty('capability_session_id');
    expect(commits).toEqual([['session call_started'], ['session call_finished']]);
    expect((await bench.runtime.listCapabilitySessions(CALLER, {})).items).toEqual([]);

    const rig = await relayRig();
    await rig.runtime.pin('relay'); // Looking at a server is no session yet.
    expect(await rig.sessions()).toEqual([]);
    await rig.run(await rig.ask('relay:echo', { text: 'a' }));
    const next = await rig.ask('relay:echo', { text: 'b' });
    const through = commitsOf(rig);
    expect((await rig.run(next)).status).toBe('done');
    expect(through).toEqual(commits);
    expect(await rig.sessions()).toHaveLength(1);
  },
);
