import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { TurnInput } from '../../src/pack/turn/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { capability, note, pay } from '../kernel/sample-config.ts';
import {
  asks,
  CALLER,
  createFakeModel,
  createPackRig,
  evidenceOf,
  governed,
  rigConfig,
  says,
  user,
} from './rig.ts';

const HI: TurnInput = { messages: [user('hi')] };

describe('one governed turn', () => {
  test('the whole output, as literals', async () => {
    const rig = createPackRig();
    rig.model.next({ ...says('Hello'), usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } });
    const turn = await rig.ok({ ...HI, external_run_id: 'host-7' });
    expect(turn).toEqual({
      status: 'reply',
      intent: 'default',
      assistant_message: 'Hello',
      provider: { kind: 'scripted', model: 'test-model' },
      usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
      finish_reason: 'stop',
      session_id: expect.stringMatching(/^ses_[0-9a-z]{26}$/) as unknown,
      run_id: expect.stringMatching(/^run_[0-9a-z]{26}$/) as unknown,
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
      turn_index: 0,
    });
  });

  verifies(['TC-01'], 'one provider call and two commits, none and one when refused', async () => {
    const rig = createPackRig();
    const turn = await rig.ok(HI);
    expect(rig.model.inputs).toHaveLength(1);
    expect(rig.counted.commits).toHaveLength(2);
    const types = (await rig.records(turn.session_id)).map((one) => one.header.type);
    expect(types).toEqual(['session_started', 'turn_started', 'turn_completed']);
    expect(evidenceOf((await rig.records(turn.session_id))[2])).toMatchObject({ provider_call_count: 1 });

    const refused = await rig.fails({
      ...HI,
      session_id: turn.session_id,
      limits: { max_turns_per_session: 1 },
    });
    expect(refused.error.details).toMatchObject({ provider_call_count: 0 });
    expect(rig.counted.commits).toHaveLength(3);
    rig.model.next(says('{"status":"gone"}'));
    const malformed = await rig.fails({ ...HI, session_id: turn.session_id });
    expect(malformed.error).toMatchObject({
      code: 'PROVIDER_MALFORMED_RESPONSE',
      details: { provider_call_count: 1, reason: 'unknown_status' },
    });
    expect(rig.model.inputs).toHaveLength(2);
    expect(rig.counted.commits).toHaveLength(5);
  });

  verifies(['TC-03'], 'empty content is legal, and what was accepted can be loaded again', async () => {
    const rig = createPackRig();
    const first = await rig.ok({ messages: [user(''), { role: 'system', content: '' }] });
    const again = createPackRig({ store: rig.store, seed: 'again' });
    await again.ok({ messages: [user('')], session_id: first.session_id });
    expect(again.model.inputs[0]?.messages.map((one) => one.role)).toEqual([
      'system',
      'user',
      'user',
      'assistant',
      'user',
    ]);
  });

  test('the url only asserts the configured one; an unknown profile is a configuration error', async () => {
    const model = createFakeModel('https://model-provider.invalid/v1/');
    const rig = createPackRig({ model });
    const { error } = await rig.fails({ ...HI, url: 'https://elsewhere.invalid/' });
    expect(error).toMatchObject({
      code: 'INVALID_INPUT',
      details: {
        configured_base_url: 'https://model-provider.invalid/v1/',
        requested_url: 'https://elsewhere.invalid/',
      },
    });
    await rig.ok({ ...HI, url: 'HTTPS://model-provider.invalid:443/v1/' });
    expect((await rig.fails({ ...HI, model_profile: 'constructor' })).error.code).toBe('CONFIGURATION_ERROR');
    expect((await createPackRig().fails({ ...HI, url: 'https://x.invalid/' })).error.code).toBe(
      'INVALID_INPUT',
    );
  });

  verifies(['TC-05'], 'a requested tool has its id and decision, and nothing ran', async () => {
    const rig = createPackRig();
    rig.model.next({
      text: 'Looking.',
      toolCalls: [
        { id: 'a', name: 'look', rawInput: '{"q":1}' },
        { id: 'b', name: 'pay', rawInput: '{"sum":2}' },
      ],
      finishReason: 'tool_calls',
    });
    const turn = await rig.ok(HI);
    expect(turn).toMatchObject({
      status: 'tool_request',
      assistant_message: 'Looking.',
      requested_tool: { name: 'look', input: { q: 1 } },
      decision: { decision: 'allow' },
      finish_reason: 'tool_calls',
    });
    expect(turn.requested_tools?.map((one) => [one.name, one.decision.decision])).toEqual([
      ['look', 'allow'],
      ['pay', 'approval_required'],
    ]);
    expect(turn.tool_call_id).toBe(turn.requested_tools?.[0]?.tool_call_id);
    expect(new Set(turn.requested_tools?.map((one) => one.tool_call_id)).size).toBe(2);
    expect(rig.effects).toEqual([]);
    const { requested_tool: _tool, ...rest } = await rig.ok({ ...HI, session_id: turn.session_id });
    expect(_tool).toBeUndefined();
    expect(Object.keys(rest).sort()).toEqual([
      'assistant_message',
      'finish_reason',
      'intent',
      'provider',
      'run_id',
      'session_id',
      'status',
      'trace_id',
      'turn_index',
    ]);
  });

  verifies(
    ['LY-05'],
    'a tool outside the governed catalog is refused by its own code, recorded, and can never run',
    async () => {
      const rig = createPackRig();
      rig.model.next(asks('rm_rf', { path: '/' }), asks('note', { x: 1 }));
      const unknown = await rig.ok(HI);
      expect(unknown.decision).toMatchObject({ decision: 'deny', rule_id: 'inventory' });
      expect(unknown.decision?.reasons[0]).toMatch(/^TOOL_NOT_FOUND/);
      expect(await rig.run(unknown)).toBeUndefined();
      const records = await rig.records(unknown.session_id);
      expect(evidenceOf(records.at(-1)).requested_tools).toMatchObject([
        { tool: 'rm_rf', refused: 'TOOL_NOT_FOUND' },
      ]);
      const listed = await rig.store.row('request', 'local', unknown.tool_call_id ?? '');
      expect(listed).toMatchObject({ status: 'denied', ref: unknown.session_id, body: { tool: 'rm_rf' } });

      // note exists and policy allows it, but this turn did not offer it
      const narrowed = await rig.ok({
        ...HI,
        session_id: unknown.session_id,
        tool_catalog: [{ name: 'look' }],
      });
      expect(rig.model.inputs[1]?.tools.map((one) => one.name)).toEqual(['look']);
      expect(narrowed.decision?.reasons[0]).toMatch(/^TOOL_NOT_FOUND/);
      expect(await rig.run(narrowed)).toBeUndefined();
      expect(rig.effects).toEqual([]);
    },
  );

  verifies(
    ['TC-04'],
    "catalog entries are strict, and the kernel's own schema reaches the model, whatever the caller says of it",
    async () => {
      const inputSchema = { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] };
      const rig = createPackRig({
        config: rigConfig({ capabilities: [capability('look', { inputSchema }), note, pay] }),
      });
      const tool_catalog = [
        { name: 'look', description: 'evil', input_schema: { type: 'object' } },
        { name: 'none' },
      ];
      await rig.ok({ ...HI, tool_catalog });
      expect(rig.model.inputs[0]?.tools).toEqual([{ name: 'look', description: 'look', inputSchema }]);
      await rig.ok({ ...HI, tool_catalog: [] });
      expect(rig.model.inputs[1]?.tools).toEqual([]);
      const intent = { id: 'refund', description: 'Give money back.' };
      const refused: [unknown, string][] = [
        [{ ...HI, tool_catalog: [{ ...tool_catalog[0], schema: {} }] }, '/tool_catalog/0/schema'],
        [{ ...HI, tool_catalog: [{ description: 'nameless' }] }, '/tool_catalog/0/name'],
        [{ ...HI, tool_catalog: [{ name: 'look', input_schema: 'any' }] }, '/tool_catalog/0/input_schema'],
        [{ ...HI, intent_catalog: [{ ...intent, tools: ['look'] }] }, '/intent_catalog/0/tools'],
        [{ ...HI, intent_catalog: [{ id: 'refund' }] }, '/intent_catalog/0/description'],
        [{ ...HI, intent_catalog: [{ description: intent.description }] }, '/intent_catalog/0/id'],
      ];
      for (const [input, field] of refused) {
        const { error } = await rig.fails(input);
        expect([error.code, error.details.field]).toEqual(['INVALID_INPUT', field]);
      }
      expect(rig.model.inputs).toHaveLength(2);
      await rig.ok({ ...HI, intent_catalog: [intent] });
      expect(rig.model.inputs[2]?.intents).toEqual([intent]);
    },
  );

  verifies(
    { partial: ['TC-07'] },
    'a reply leaves the session open, complete closes it, escalate opens an item',
    async () => {
      const rig = createPackRig();
      const first = await rig.ok(HI);
      const session_id = first.session_id;
      rig.model.next(governed({ status: 'escalate', assistant_message: 'A person should see this.' }));
      expect((await rig.ok({ ...HI, session_id })).status).toBe('escalate');
      const items = await rig.store.list({ kind: 'item', tenant: 'local', limit: 10 });
      expect(items.items).toMatchObject([
        {
          status: 'open',
          ref: session_id,
          body: { kind: 'escalation', reason: 'A person should see this.' },
        },
      ]);
      expect(await rig.store.row('session', 'local', session_id)).toMatchObject({ status: 'escalated' });
      rig.model.next(governed({ status: 'complete', assistant_message: 'Bye' }));
      expect((await rig.ok({ ...HI, session_id })).status).toBe('complete');
      const { error } = await rig.fails({ ...HI, session_id });
      expect(error.code).toBe('SESSION_CLOSED');
      expect(await rig.store.row('session', 'local', session_id)).toMatchObject({ status: 'closed' });
      expect((await rig.records(session_id)).at(-1)?.header.type).toBe('turn_refused');
    },
  );

  verifies(['TC-08'], 'limits are counted by us and refused with what was measured and allowed', async () => {
    const config = rigConfig();
    const rig = createPackRig({
      config: { ...config, limits: { maxTurnsPerSession: 3, maxToolCallsPerSession: 1, maxInputBytes: 100 } },
    });
    rig.model.next(asks('look'));
    const first = await rig.ok({ ...HI, limits: { max_turns_per_session: 99, max_input_bytes: 99_999 } });
    const session_id = first.session_id;
    await rig.run(first);
    const big = await rig.fails({ messages: [user('x'.repeat(200))], session_id });
    expect(big.error).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      details: { limit: 'max_input_bytes', allowed: 100 },
    });
    expect(big.error.details.measured).toBeGreaterThan(200);

    const own = createPackRig({
      config: { ...config, limits: { ...config.limits, maxToolCallsPerSession: 1 } },
    });
    own.model.next(asks('look'), asks('look'));
    const turn = await own.ok(HI);
    await own.run(turn);
    // The last permitted call's result is shown once more, without tools; another call is refused.
    const last = await own.ok({ messages: [], session_id: turn.session_id });
    expect(own.model.inputs[1]?.tools).toEqual([]);
    expect(last.decision).toMatchObject({ decision: 'deny', rule_id: 'loop_budget' });
    expect(await own.run(last)).toBeUndefined();
    await own.ok({ messages: [], session_id: turn.session_id });
    const calls = await own.fails({ ...HI, session_id: turn.session_id });
    expect(calls.error.details).toMatchObject({
      limit: 'max_tool_calls_per_session',
      measured: 1,
      allowed: 1,
    });

    const turns = createPackRig({
      config: { ...config, limits: { ...config.limits, maxTurnsPerSession: 2 } },
    });
    const { session_id: id } = await turns.ok(HI);
    await turns.ok({ ...HI, session_id: id });
    const over = await turns.fails({ ...HI, session_id: id, limits: { max_turns_per_session: 50 } });
    expect(over.error.details).toMatchObject({ limit: 'max_turns_per_session', measured: 2, allowed: 2 });
    expect(turns.model.inputs).toHaveLength(2);
  });

  verifies(['TC-10'], 'one envelope, a code per cause, and whether a retry can help', async () => {
    const rig = createPackRig();
    const causes: [Error, string, boolean][] = [
      [
        new RuntimeError('PROVIDER_RATE_LIMITED', undefined, { attempts: 1, retry_after_ms: 5 }),
        'PROVIDER_RATE_LIMITED',
        true,
      ],
      [
        new RuntimeError('PROVIDER_AUTHENTICATION_FAILED', undefined, { attempts: 1 }),
        'PROVIDER_AUTHENTICATION_FAILED',
        false,
      ],
      [new RuntimeError('MISSING_ENVIRONMENT', undefined, { variable: 'KEY' }), 'MISSING_ENVIRONMENT', false],
      [new TypeError('bug'), 'INTERNAL', false],
    ];
    for (const [cause, code, retryable] of causes) {
      rig.model.next(cause);
      const failure = await rig.fails(HI);
      expect(failure.error).toMatchObject({ code, retryable });
      expect(failure.error.details.provider_call_count).toBe('attempts' in failure.error.details ? 1 : 0);
      const record = (await rig.records(failure.session_id ?? '')).at(-1);
      expect([record?.header.type, evidenceOf(record).code]).toEqual(['turn_failed', code]);
    }
    rig.model.next(
      new RuntimeError('PROVIDER_HTTP_ERROR', 'key canary-secret-value refused', { attempts: 1 }),
    );
    const secret = await rig.fails(HI);
    expect(JSON.stringify(await rig.records(secret.session_id ?? ''))).not.toContain('canary-secret-value');
  });

  verifies(
    { partial: ['LY-03', 'TC-12'] },
    'every record of a session carries who, for whom, and the one task type',
    async () => {
      const config = rigConfig();
      config.identity.delegations.push({
        actor: 'stdio:1',
        principal: 'anna',
        scope: 'tickets',
        capabilities: ['look'],
      });
      const rig = createPackRig({ config });
      const authorization = {
        mode: 'user_delegated',
        delegated_principal_id: 'anna',
        delegated_scope: 'tickets',
      } as const;
      rig.model.next(
        asks('look'),
        governed({ status: 'escalate', assistant_message: 'x' }),
        governed({ status: 'complete', assistant_message: 'y' }),
      );
      const first = await rig.ok({ ...HI, authorization });
      await rig.run(first);
      await rig.ok({ messages: [], session_id: first.session_id });
      await rig.ok({ ...HI, session_id: first.session_id });
      const records = await rig.records(first.session_id);
      expect(new Set(records.map((one) => one.header.type)).size).toBe(7);
      for (const record of records.filter((one) => one.header.type !== 'call_finished')) {
        expect(evidenceOf(record)).toMatchObject({
          tenant_id: 'local',
          principal_id: 'os:1000',
          actor_id: 'stdio:1',
          agent_id: 'agent-1',
          session_id: first.session_id,
          trace_id: expect.any(String) as unknown,
          run_id: expect.any(String) as unknown,
          task_type: 'agent-session',
          authorization_mode: 'user_delegated',
          delegated_principal_id: 'anna',
          delegated_scope: 'tickets',
        });
      }
      // call-tool joins the run of the turn; the run ends with the escalation, and the next turn begins another
      const runs = records.map((one) => evidenceOf(one).run_id);
      expect(new Set(runs.slice(0, -3)).size).toBe(1);
      expect(runs.at(-1)).not.toBe(first.run_id);
    },
  );

  test('a delegation counts only when it is configured for this actor', async () => {
    const rig = createPackRig();
    const claim = { mode: 'user_delegated', delegated_principal_id: 'anna', delegated_scope: 'tickets' };
    expect((await rig.fails({ ...HI, authorization: claim })).error.code).toBe('POLICY_DENIED');
    const missing = await rig.fails({ ...HI, authorization: { mode: 'user_delegated' } });
    expect(missing.error.message).toBe('Delegated authorization field is required: delegated_principal_id');
    const mode = await rig.fails({ ...HI, authorization: { mode: 'root' } });
    expect(mode.error.message).toBe('/authorization/mode: Authorization mode is not supported: root');
    const { session_id } = await rig.ok(HI);
    expect((await rig.fails({ ...HI, session_id, authorization: claim })).error.code).toBe('INVALID_INPUT');
  });

  verifies(
    ['TC-13'],
    'a run without tenant, principal or agent is denied with a stable id and recorded',
    async () => {
      const config = rigConfig();
      const cases = [
        [createPackRig(), { ...CALLER, tenant: '' }, 'run_001', 'tenant_missing'],
        [createPackRig(), { ...CALLER, principal: ' ' }, 'run_002', 'principal_missing'],
        [
          createPackRig({ config: { ...config, agent: { ...config.agent, id: '' } } }),
          CALLER,
          'run_003',
          'agent_identity_missing',
        ],
      ] as const;
      for (const [rig, caller, id, name] of cases) {
        const { error, run_id } = await rig.fails(HI, { caller });
        expect(error).toMatchObject({ code: 'POLICY_DENIED', details: { policy_id: id, reason: name } });
        expect(rig.model.inputs).toEqual([]);
        const row = rig.counted.commits[0]?.rows?.[0]?.row;
        expect(row).toMatchObject({ kind: 'run', id: run_id, status: 'denied' });
        expect(rig.counted.commits[0]?.appends?.[0]).toMatchObject({ type: 'turn_refused' });
      }
    },
  );

  verifies({ partial: ['TC-14'] }, 'a run keeps success, waiting, denied and failed apart', async () => {
    const rig = createPackRig();
    const status = async (runId: string | undefined): Promise<string | undefined> =>
      (await rig.store.row('run', 'local', runId ?? ''))?.status;
    expect(await status((await rig.ok(HI)).run_id)).toBe('success');
    rig.model.next(asks('pay'), asks('look'), new RuntimeError('PROVIDER_TIMEOUT'));
    expect(await status((await rig.ok(HI)).run_id)).toBe('waiting_for_approval');
    expect(await status((await rig.ok(HI)).run_id)).toBe('in_progress');
    expect(await status((await rig.fails(HI)).run_id)).toBe('failed');
  });
});

test('a secret that lies across the cut of a long text leaves no piece of itself in the evidence', async () => {
  const secret = 'canary-secret-value';
  const long = `${'x'.repeat(1990)}${secret}${'y'.repeat(100)}`;
  const rig = createPackRig();
  rig.model.next(governed({ status: 'escalate', assistant_message: long }));
  const tool = { role: 'tool' as const, content: long, tool_name: 'x' };
  const { session_id } = await rig.ok({ messages: [user(long), tool] });
  const shown = (await rig.records(session_id)).map((one) => JSON.stringify(evidenceOf(one)));
  const { items } = await rig.store.list({ kind: 'item', tenant: 'local', limit: 5 });
  expect(items).toHaveLength(1);
  expect(shown.filter((text) => text.includes('cut_from'))).toHaveLength(2);
  for (const text of [...shown, JSON.stringify(items)]) expect(text).not.toContain('canary');
});
