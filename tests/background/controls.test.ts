// Shows that the switches for background runs, resuming and canceling are obeyed, for sessions and workflows alike.
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { command, effects, eventually, reconfigured, saying, serve, servedPlace } from './served.ts';

type Doc = Record<string, unknown>;

const ONE = { workflow: { nodes: [{ id: 'one', ...saying('count a.') }] } };

function denied(field: string): object {
  return { error: { code: 'POLICY_DENIED', details: { rule_id: 'run_precheck', field } } };
}

verifies(
  { partial: ['QB-07'] },
  'what the configuration does not allow is refused by name: background, resuming, canceling',
  async () => {
    const at = await servedPlace({
      background: { allow_cancel: false },
      controls: { resume_allowed: false, background_mode_allowed: false },
    });
    const client = await serve(at, 'v1');
    const ids = [
      String((await client.call('agent:start-session', saying('count a.'))).session_id),
      String((await client.call('agent:start-workflow', ONE)).session_id),
    ];
    for (const [which, session_id] of ids.entries()) {
      const resume = which === 0 ? 'agent:resume-session' : 'agent:resume-workflow';
      await expect(client.call(resume, { session_id })).resolves.toMatchObject(
        denied('runtime_controls.resume_allowed'),
      );
      await expect(client.call(resume, { session_id, background: true })).resolves.toMatchObject(
        denied('runtime_controls.background_mode_allowed'),
      );
      await expect(client.call('agent:cancel', { session_id })).resolves.toMatchObject(
        denied('runtime.background.allow_cancel'),
      );
      const { timeline } = (await client.read(`agent://sessions/${session_id}`)) as { timeline: object[] };
      expect(JSON.stringify(timeline)).not.toContain('cancel_requested');
    }
    for (const [tool, args] of [
      ['agent:start-session', saying('count b.')],
      ['agent:start-workflow', ONE],
    ] as const) {
      await expect(client.call(tool, { ...args, background: true })).resolves.toMatchObject(
        denied('runtime_controls.background_mode_allowed'),
      );
    }
  },
);

verifies(
  ['QB-07'],
  'each setting of background runs and of pausing has its effect, or is refused when it is loaded',
  async () => {
    const at = await servedPlace({ background: { enabled: false }, controls: { max_wait_seconds: 1 } });
    const off = await serve(at, 'v2');
    const offered = { ...saying('count a.'), background: true };
    await expect(off.call('agent:start-session', offered)).resolves.toMatchObject(
      denied('runtime.background.enabled'),
    );
    await off.close();

    // The same workspace: nobody answers for as long as a run may wait, and that ends it, or it is told and goes on.
    const ends = [
      ['cancel_run', 'expired'],
      ['keep', 'completed'],
    ] as const;
    for (const [on_expiry, status] of ends) {
      const other = await reconfigured(at, on_expiry, { controls: { max_wait_seconds: 4, on_expiry } });
      const client = await serve(other, 'v2');
      const { session_id: id } = await client.call('agent:start-session', offered);
      const now = async (): Promise<Record<string, unknown>> => {
        const read = await client.read(`agent://sessions/${String(id)}`);
        return (read as { state: { work: Record<string, unknown> } }).state.work;
      };
      const asked = await eventually('it waits', async () => (await now()).pending_request_id);
      const approval = { kind: 'approval', id: asked };
      const { state } = (await client.call('agent:inspect', approval)) as { state: Record<string, string> };
      expect(Date.parse(state.answer_by ?? '') - Date.parse(state.requested_at ?? '')).toBe(4000);
      await eventually(`it is ${status}`, async () => (await now()).status === status);
      await client.close();
    }
    expect(await effects(at, 'a')).toEqual([]);

    for (const [changes, field] of [
      [{ background: { resumable_runs: false } }, 'resumable_runs'],
      [{ controls: { pause_allowed: false } }, 'pause_allowed'],
    ] as const) {
      await expect(reconfigured(at, field, changes)).rejects.toThrow(field);
    }
  },
  120_000,
);

test('a client that takes tasks starts and resumes at once where the configuration keeps runs out of the background', async () => {
  const at = await servedPlace({ controls: { background_mode_allowed: false } });
  const client = await serve(at, 'tasks');
  const quick = { ...saying('be quick.'), max_turns_per_invocation: 1 };
  const { session_id } = await client.call('agent:start-session', quick);
  await expect(client.call('agent:resume-session', { session_id })).resolves.toMatchObject({
    kind: 'completed',
  });
  await expect(client.call('agent:start-workflow', ONE)).resolves.toMatchObject({
    kind: 'approval_required',
  });
  await expect(client.call('agent:start-session', { ...quick, background: true })).resolves.toMatchObject(
    denied('runtime_controls.background_mode_allowed'),
  );
});

test('what is due is seen to also where runs are kept out of the background, and what was queued before is carried out', async () => {
  const at = await servedPlace();
  const first = await serve(at, 'v2');
  const wake_at = new Date(Date.now() + 4000).toISOString();
  const timed = { workflow: { nodes: [{ id: 'one', ...saying('finish.'), wake_at }] } };
  const { session_id: later } = await first.call('agent:start-workflow', timed);
  await first.close();
  const ran = await command(at, 'sessions', 'start', '--message', 'finish.', '--background', '--json');
  const { session_id: queued } = JSON.parse(ran.out) as Record<string, unknown>;

  const client = await serve(await reconfigured(at, 'off', { background: { enabled: false } }), 'v2');
  for (const id of [later, queued]) {
    await eventually(`${String(id)} is completed`, async () => {
      const { state } = (await client.read(`agent://sessions/${String(id)}`)) as { state: { work: Doc } };
      return state.work.kind === 'completed';
    });
  }
}, 90_000);

test('a worker keeps the bound of turns, and nothing that is new to the model gets lost in the queue', async () => {
  const at = await servedPlace();
  const client = await serve(at, 'v2');
  const started = await client.call('agent:start-session', {
    ...saying('be quick.'),
    max_turns_per_invocation: 1,
    background: true,
  });
  const session_id = String(started.session_id);
  const work = async (): Promise<Record<string, unknown>> => {
    const { state } = (await client.read(`agent://sessions/${session_id}`)) as {
      state: { work: Record<string, unknown> };
    };
    return state.work;
  };
  const suspended = await eventually('its one turn is used up', async () => {
    const now = await work();
    return now.kind === 'suspended' ? now : undefined;
  });
  expect(suspended).toMatchObject({ turn_count: 1, reason: 'Invocation turn budget reached.' });
  const more = { session_id, continuation_messages: [{ role: 'user', content: 'hurry.' }] };
  await expect(client.call('agent:resume-session', { ...more, background: true })).resolves.toMatchObject({
    error: { code: 'INVALID_INPUT', details: { field: '/continuation_messages' } },
  });
  // A client that takes tasks gets what a worker cannot be given at once.
  const other = await serve(at, 'tasks');
  await expect(other.call('agent:resume-session', more)).resolves.toMatchObject({ kind: 'completed' });
  expect(await effects(at, 'quick')).toHaveLength(2);
});
