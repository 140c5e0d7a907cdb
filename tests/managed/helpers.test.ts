// The public helpers over the joined runtime and its file, and the readable copy that lies beside the journal.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resumeGovernedAgentSession, startGovernedAgentSession } from '../../src/index.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, asks, CALLER, configFor, open, OTHER, PERSON, place, says } from '../runtime/rig.ts';
import type { Bench, Place } from '../runtime/rig.ts';
import { governed, user } from './rig.ts';

async function copyOf(at: Place, sessionId: string): Promise<JsonObject> {
  const text = await readFile(join(at.workspace, '.agent-runtime', 'workflow', `${sessionId}.json`), 'utf8');
  return JSON.parse(text) as JsonObject;
}

function start({ runtime }: Bench, over: object = {}): ReturnType<typeof startGovernedAgentSession> {
  return startGovernedAgentSession({
    runtime,
    caller: CALLER,
    executeTurnInput: { messages: [user('go')] },
    ...over,
  });
}

verifies(
  { partial: ['WF-04', 'QB-03'] },
  'a session goes on in a runtime that was opened after the first was closed',
  async () => {
    const at = await place();
    const first = await open(at);
    first.model.next(asks('look', { a: 1 }), asks('pay', { sum: 2 }));
    const waits = await start(first, { maxTurnsPerInvocation: 4 });
    if (waits.kind !== 'approval_required') throw new Error(waits.kind);
    expect(waits).toMatchObject({ status: 'waiting_approval', turn_count: 2, tool_call_count: 1 });
    await first.runtime.close();

    const second = await open(at);
    await second.runtime.deliverApproval(PERSON, waits.pending_request_id, APPROVE);
    second.model.next(governed({ status: 'complete', assistant_message: 'paid' }));
    const done = await resumeGovernedAgentSession({
      runtime: second.runtime,
      caller: { ...CALLER, actor: 'stdio:2' },
      sessionId: waits.session_id,
    });
    expect(done).toMatchObject({ kind: 'completed', final_turn: { status: 'complete' }, tool_call_count: 2 });
    expect(second.effects.map((one) => one.args)).toEqual([{ sum: 2 }]);
    expect(done.history.slice(0, 1)).toEqual(waits.history.slice(0, 1));
    await expect(
      resumeGovernedAgentSession({ runtime: second.runtime, caller: CALLER, sessionId: waits.session_id }),
    ).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await expect(
      resumeGovernedAgentSession({ runtime: second.runtime, caller: OTHER, sessionId: waits.session_id }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  },
);

verifies(
  { partial: ['WF-09'] },
  'the readable copy has the contract and is written whole, for its owner alone',
  async () => {
    const at = await place();
    const bench = await open(at);
    bench.model.next(asks('pay', { sum: 2, note: 'x' }));
    const waits = await start(bench);
    const { file } = await bench.runtime.rebuildSnapshot(CALLER, waits.session_id);
    expect(file).toBe(join(at.workspace, '.agent-runtime', 'workflow', `${waits.session_id}.json`));
    const copy = await copyOf(at, waits.session_id);
    expect(copy).toMatchObject({
      schema_version: 1,
      session_id: waits.session_id,
      run_id: waits.run_id,
      status: 'waiting_approval',
      execute_turn_input: { messages: [{ role: 'user', content: 'go' }] },
      turn_count: 1,
      tool_call_count: 0,
      pending_request_id: waits.kind === 'approval_required' ? waits.pending_request_id : '',
      requested_tool: { name: 'pay' },
      continuations: [
        { sequence: 1, kind: 'created' },
        { sequence: 2, kind: 'approval_required' },
      ],
      left_out: { messages: 0, history: 0, continuations: 0 },
    });
    expect(copy.history).toHaveLength(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(at.workspace, '.agent-runtime', 'workflow'))).toEqual([
      `${waits.session_id}.json`,
    ]);
    await expect(bench.runtime.rebuildSnapshot(OTHER, waits.session_id)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  },
);

test('a changed or broken copy changes nothing, says so, and is made anew', async () => {
  const at = await place();
  const bench = await open(at);
  const first = await start(bench);
  const { file } = await bench.runtime.rebuildSnapshot(CALLER, first.session_id);
  const whole = await readFile(file, 'utf8');
  expect(whole).toContain('It is never read back: a change made here is overwritten and has no effect.');
  for (const text of ['{"status":"completed","schema_version":99}', 'not json', '']) {
    await writeFile(file, text);
    expect(await bench.runtime.managed.status(CALLER, first.session_id)).toBe('suspended');
    await bench.runtime.rebuildSnapshot(CALLER, first.session_id);
    expect(await readFile(file, 'utf8')).toBe(whole);
  }
  bench.model.next(says('more'));
  await resumeGovernedAgentSession({
    runtime: bench.runtime,
    caller: CALLER,
    sessionId: first.session_id,
    continuationMessages: [user('again')],
  });
  await bench.runtime.close();
  expect(await copyOf(at, first.session_id)).toMatchObject({ turn_count: 2, messages: [{}, {}, {}, {}] });
});

test('a copy shows no secret and no more than its newest two hundred entries', async () => {
  const at = await place();
  const config = configFor(at);
  config.limits = { maxTurnsPerSession: 1000, maxToolCallsPerSession: 1000, maxInputBytes: 10_000_000 };
  config.models.profiles.demo!.apiKeyEnv = 'THE_KEY';
  const bench = await open(at, { config, env: { THE_KEY: 'canary-secret-value' } });
  const { session_id: sessionId } = await start(bench, {
    executeTurnInput: { messages: [user('my key is canary-secret-value')] },
  });
  for (let n = 0; n < 101; n++) {
    const continuationMessages = [user(`n ${n}`)];
    await resumeGovernedAgentSession({
      runtime: bench.runtime,
      caller: CALLER,
      sessionId,
      continuationMessages,
    });
  }
  const { file } = await bench.runtime.rebuildSnapshot(CALLER, sessionId);
  expect(await readFile(file, 'utf8')).not.toContain('canary-secret-value');
  const copy = await copyOf(at, sessionId);
  expect(copy.messages).toHaveLength(200);
  expect(copy).toMatchObject({ turn_count: 102, left_out: { messages: 4, history: 0, continuations: 4 } });
});
