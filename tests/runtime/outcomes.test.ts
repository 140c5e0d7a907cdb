import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { OUTCOMES } from '../../src/kernel/evidence/records.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import type { HealthCheck } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, CALLER, configFor, IO, OK, open, PERSON, place, says, ticket } from './rig.ts';
import type { Bench } from './rig.ts';

async function check(bench: Bench, name: string): Promise<HealthCheck | undefined> {
  return (await bench.runtime.getHealth(CALLER)).checks.find((one) => one.check === name);
}

test('an unknown effect stays unknown: it is shown, told to the model, and never run again', async () => {
  const at = await place();
  const bench = await open(at);
  const asked = await bench.ask('note', { n: 1 });
  bench.tool.run = () =>
    Promise.resolve({
      kind: 'failed',
      code: 'TOOL_TIMEOUT',
      message: 'no answer',
      sideEffect: 'side_effect_unknown',
      notes: [],
    });
  const first = await bench.run(asked);
  expect(first).toMatchObject({ status: 'unknown', side_effect_status: 'side_effect_unknown' });
  expect(await bench.run(asked)).toMatchObject({
    status: 'unknown',
    error: { code: 'SIDE_EFFECT_UNKNOWN' },
  });
  expect(bench.effects).toHaveLength(1);
  expect(await check(bench, 'effects')).toMatchObject({ status: 'warn' });
  expect((await check(bench, 'effects'))?.detail).toContain(asked.tool_call_id);
  await bench.runtime.close();

  const later = await open(at, { fakeClock: bench.clock });
  expect((await later.run(asked)).status).toBe('unknown');
  later.model.next(says('I cannot tell'));
  await later.turn({ session_id: asked.session_id });
  expect(JSON.stringify(later.model.inputs.at(-1)?.messages)).toContain('side_effect_unknown');
  expect(later.effects).toEqual([]);
});

verifies(
  ['RF-12'],
  'each way in which a call can end has one of seven outcomes in its record, whatever the tool answers',
  async () => {
    const at = await place();
    const base = configFor(at);
    const inputSchema = { type: 'object', properties: { n: { type: 'number' } } };
    const capabilities = { ...base.capabilities, note: { ...base.capabilities.note!, inputSchema } };
    const policy = { ...base.policy, cycle: { maxRepeats: 100, windowSeconds: 600 } };
    const bench = await open(at, { config: { ...base, capabilities, policy } });
    const ended = async (
      tool: string,
      args: JsonObject,
      result: ExecutionResult = OK,
    ): Promise<unknown[]> => {
      bench.tool.run = () => Promise.resolve(result);
      const {
        tool_call_id: id,
        status,
        side_effect_status,
      } = await bench.runtime.callCapability(CALLER, { tool, args }, IO);
      const { timeline } = await bench.runtime.inspect(CALLER, 'request', id);
      return [timeline.at(-1)?.outcome, status, side_effect_status];
    };
    const failed = (
      code: ErrorCode,
      sideEffect: 'not_executed' | 'side_effect_unknown' = 'not_executed',
    ): ExecutionResult => ({ kind: 'failed', code, message: 'gone', sideEffect, notes: [] });
    const isError: ExecutionResult = { kind: 'result', content: [], isError: true, notes: [] };
    const seen = [
      await ended('note', { n: 1 }),
      await ended('note', { n: 2 }, isError),
      await ended('look', { n: 2 }, isError),
      await ended('note', { n: 3 }, failed('DOWNSTREAM_UNAVAILABLE')),
      await ended('note', { n: 4 }, failed('DOWNSTREAM_UNAVAILABLE', 'side_effect_unknown')),
      await ended('look', { n: 4 }, failed('DOWNSTREAM_UNAVAILABLE', 'side_effect_unknown')),
      await ended('note', { n: 5 }, failed('CANCELED')),
      await ended('note', { n: 6 }, failed('CAPABILITY_SESSION_EXPIRED')),
      await ended('note', { n: 7 }, failed('INVALID_INPUT')),
      await ended('note', { n: 8 }, failed('SPEC_TAMPERED')),
      await ended('note', { n: 'text' }),
      await ended('nowhere', {}),
      await ended('pay', { amount: 1 }),
      await ended('ticket', { key: 'k', title: 'a' }),
      await ended('ticket', { key: 'k', title: 'a' }),
      await ended('ticket', { key: 'k', title: 'b' }),
    ];
    expect(seen).toEqual([
      ['success', 'done', 'applied'],
      ['partial_side_effect', 'tool_error', 'partial_side_effect'],
      ['retryable_failure', 'tool_error', 'not_executed'],
      ['retryable_failure', 'tool_error', 'not_executed'],
      ['side_effect_unknown', 'unknown', 'side_effect_unknown'],
      ['retryable_failure', 'tool_error', 'not_executed'],
      ['retryable_failure', 'canceled', 'not_executed'],
      ['retryable_failure', 'expired', 'not_executed'],
      ['validation_failure', 'tool_error', 'not_executed'],
      ['permission_denied', 'tool_error', 'not_executed'],
      ['validation_failure', 'denied', 'not_executed'],
      ['permission_denied', 'denied', 'not_executed'],
      ['approval_required', 'approval_required', 'not_executed'],
      ['success', 'done', 'applied'],
      ['success', 'done', 'not_executed'], // answered from the record of the one before
      ['validation_failure', 'tool_error', 'not_executed'],
    ]);
    expect(new Set(seen.map(([outcome]) => outcome))).toEqual(new Set(OUTCOMES));
  },
);

const LOST: ExecutionResult = {
  ...{ kind: 'failed', code: 'DOWNSTREAM_UNAVAILABLE', message: 'gone' },
  ...{ sideEffect: 'side_effect_unknown', notes: [] },
};

verifies(
  ['RF-13'],
  'an effect is one of four, and one that nobody knows of stops its run in every process until it is taken note of',
  async () => {
    const at = await place();
    const bench = await open(at);
    const effectOf = async (tool: string, n: number, result: ExecutionResult): Promise<unknown> => {
      bench.tool.run = () => Promise.resolve(result);
      const args = { n };
      return (await bench.runtime.callCapability(CALLER, { tool, args }, IO)).side_effect_status;
    };
    expect(await effectOf('look', 1, OK)).toBe('not_executed');
    expect(await effectOf('note', 1, OK)).toBe('applied');
    const half: ExecutionResult = { kind: 'result', content: [], isError: true, notes: [] };
    expect(await effectOf('note', 2, half)).toBe('partial_side_effect');
    expect(await effectOf('note', 3, LOST)).toBe('side_effect_unknown');
    const direct = (await bench.runtime.listRequests(CALLER, { filter: { status: 'unknown' } })).items[0];
    const alone = await bench.runtime.inspect(CALLER, 'run', direct?.run_id as string);
    expect(alone.state).toMatchObject({ status: 'blocked_on_reconciliation', terminal_reason: null });

    const asked = { name: 'note', rawInput: '{"n":4}', id: 'native' };
    bench.model.next({ text: '', toolCalls: [asked], finishReason: 'tool_calls' });
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
    const { session_id: id, run_id } = await bench.runtime.managed.start(
      CALLER,
      { executeTurnInput },
      {},
      IO,
    );
    const runs = bench.effects.length;
    const stands = async ({ runtime }: Bench): Promise<unknown> =>
      (await runtime.inspect(CALLER, 'run', run_id)).state.status;
    expect(await stands(bench)).toBe('blocked_on_reconciliation');
    await bench.runtime.close();

    const later = await open(at, { fakeClock: bench.clock });
    const continuationMessages = [{ role: 'user' as const, content: 'try it again' }];
    const blocked = await later.runtime.managed.run(CALLER, id, { continuationMessages }, IO);
    expect(blocked.kind).toBe('suspended');
    expect(await stands(later)).toBe('blocked_on_reconciliation');
    expect([later.effects, later.model.inputs]).toEqual([[], []]);
    expect(runs).toBe(5);

    const [unknown] = (await later.runtime.listRequests(CALLER, { filter: { session_id: id } })).items;
    const acceptUnknown = [unknown?.request_id as string];
    later.model.next(says('I cannot tell'));
    expect((await later.runtime.managed.run(CALLER, id, { acceptUnknown }, IO)).kind).toBe('completed');
    expect(await stands(later)).toBe('success');
    expect(later.effects).toEqual([]);
    expect(JSON.stringify(later.model.inputs.at(-1)?.messages)).toContain('side_effect_unknown');
  },
);

verifies(
  { partial: ['RF-10', 'IN-10'] },
  'a run that fails is recorded, listed and explained like any other',
  async () => {
    const at = await place();
    const bench = await open(at);
    bench.model.next(new Error('the model broke'));
    const said = await bench.runtime.executeTurn(
      CALLER,
      { messages: [{ role: 'user', content: 'please' }] },
      IO,
    );
    if (!('error' in said)) throw new Error('it did not fail');
    await bench.runtime.close();
    const later = await open(at, { fakeClock: bench.clock });
    const session = (await later.runtime.listSessions(CALLER, {})).items[0];
    expect(session).toMatchObject({
      session_id: said.session_id,
      run_status: 'failed',
      last_turn_status: 'failed',
    });
    const run = await later.runtime.inspect(CALLER, 'run', said.run_id ?? '');
    expect(run.state).toMatchObject({ status: 'failed', code: said.error.code });
    expect(run.timeline.at(-1)).toMatchObject({ type: 'turn_failed', code: said.error.code });
    expect((await later.turn({ session_id: said.session_id ?? '' })).status).toBe('reply');
  },
);

verifies(
  { partial: ['HE-03'] },
  'a call whose process is gone is settled as unknown when it is asked for again, and health says so',
  async () => {
    const at = await place();
    const bench = await open(at, { instanceLeaseMs: 1000 });
    const asked = await bench.ask('note', { n: 1 });
    let began = (): void => undefined;
    const running = new Promise<void>((resolve) => (began = resolve));
    bench.tool.run = () => {
      began();
      return new Promise(() => undefined);
    };
    void bench.run(asked).catch(() => undefined);
    await running;
    const other = await open(at, { fakeClock: bench.clock, instanceLeaseMs: 1000 });
    await expect(other.run(asked)).rejects.toMatchObject({ code: 'CONFLICT' });
    await bench.runtime.close(); // The process ends without an outcome.
    expect(await other.run(asked)).toMatchObject({
      status: 'unknown',
      side_effect_status: 'side_effect_unknown',
    });
    expect(await check(other, 'effects')).toMatchObject({ status: 'warn' });
    expect(other.effects).toEqual([]);
    const { timeline } = await other.runtime.inspect(CALLER, 'request', asked.tool_call_id);
    expect(timeline.at(-1)).toMatchObject({
      type: 'call_finished',
      outcome: 'side_effect_unknown',
      run_id: asked.run_id,
      trace_id: asked.trace_id,
      tenant_id: 'local',
      principal_id: CALLER.principal,
    });
  },
);

verifies(
  ['HE-01', 'HE-04'],
  'health puts what fails first, and what is not right says what to do',
  async () => {
    const at = await place();
    const config = configFor(at);
    const approvals = { ...config.approvals, escalationSlaMinutes: 10 };
    const bench = await open(at, { config: { ...config, approvals } });
    const healthy = await bench.runtime.getHealth(CALLER);
    expect(healthy.checks.find((one) => one.check === 'approvals')?.status).toBe('ok');
    ticket(await bench.run(await bench.ask('pay', { amount: 1 })));
    expect(await check(bench, 'approvals')).toMatchObject({ status: 'warn' });
    bench.clock.advance(11 * 60_000);
    const late = await bench.runtime.getHealth(CALLER);
    expect(late.status).toBe('fail');
    expect(late.checks[0]).toMatchObject({ check: 'approvals', status: 'fail' });
    expect(late.checks[0]?.action).toContain('approvals resolve');
    const rank = { fail: 0, warn: 1, ok: 2 };
    const ranks = late.checks.map((one) => rank[one.status]);
    expect(ranks).toEqual([...ranks].sort());
    for (const one of late.checks) {
      expect(one.detail).not.toBe('');
      if (one.status !== 'ok') expect(one.action, one.check).toBeTruthy();
    }
    await bench.runtime.store.close();
    const down = await bench.runtime.getHealth(CALLER);
    expect(down.status).toBe('fail');
    expect(down.checks[0]?.action).toBeTruthy();
  },
);

verifies(
  { partial: ['IN-13'] },
  'a long call is followed and canceled through the same surface',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('note', { n: 1 });
    let began = (): void => undefined;
    const running = new Promise<void>((resolve) => (began = resolve));
    bench.tool.run = (_execution, signal) =>
      new Promise((resolve) => {
        began();
        signal.addEventListener('abort', () => {
          resolve({
            kind: 'failed',
            code: 'CANCELED',
            message: 'canceled',
            sideEffect: 'side_effect_unknown',
            notes: [],
          });
        });
      });
    const controller = new AbortController();
    const call = bench.runtime.callTool(CALLER, asked, { signal: controller.signal });
    await running;
    const polled = await bench.runtime.inspect(CALLER, 'request', asked.tool_call_id);
    expect(polled.state.status).toBe('in_progress');
    controller.abort();
    const ended = await call;
    expect(['canceled', 'unknown']).toContain(ended.status);
    expect(ended.side_effect_status).toBe('side_effect_unknown');
    const after = await bench.runtime.inspect(CALLER, 'request', asked.tool_call_id);
    expect(after.state.status).toBe(ended.status);
  },
);

verifies(
  { partial: ['CI-03'] },
  'capabilities are listed with what they may do and what they need',
  async () => {
    const bench = await open(await place());
    const { items } = await bench.runtime.listCapabilities(CALLER, {});
    expect(items.map((one) => one.id)).toEqual(['look', 'note', 'pay', 'ticket']);
    expect(items[2]).toMatchObject({
      mode: 'write',
      approval_required: true,
      idempotency_key_required: false,
      in_inventory: true,
      tool_principal: 'svc-pay',
      allowed_egress: [],
      pin: 'declared',
    });
    expect(items[3]?.idempotency_key_required).toBe(true);
  },
);

verifies({ partial: ['SE-01'] }, 'a session holds its identity and progress across a restart', async () => {
  const at = await place();
  const bench = await open(at);
  const asked = await bench.ask('pay', { amount: 1 });
  const id = ticket(await bench.run(asked));
  await bench.runtime.deliverApproval(PERSON, id, APPROVE);
  await bench.run(asked);
  bench.model.next(says('paid'));
  await bench.turn({ session_id: asked.session_id });
  await bench.runtime.close();
  const later = await open(at, { fakeClock: bench.clock });
  const { state } = await later.runtime.inspect(CALLER, 'session', asked.session_id);
  expect(state).toMatchObject({
    session_id: asked.session_id,
    tenant_id: 'local',
    principal_id: CALLER.principal,
    trace_id: asked.trace_id,
    turn_count: 2,
    run_status: 'success',
    authorization_mode: 'platform_owned',
  });
});
