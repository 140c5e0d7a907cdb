import { expect } from 'vitest';
import type { HealthCheck } from '../../src/runtime/contract.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { verifies } from '../e2e/verifies.ts';
import { PROFILE } from '../pack/rig.ts';
import { agree, call, OTHER_TOOL, pinRig, RUN } from './pins-rig.ts';
import { CALLER, configFor, IO, OK, open, OTHER, place, ticket } from './rig.ts';
import type { Bench } from './rig.ts';

async function checkOf(bench: Bench, name: string, caller = CALLER): Promise<HealthCheck[]> {
  const { checks } = await bench.runtime.getHealth(caller);
  return checks.filter((one) => one.check === name);
}

verifies(
  { partial: ['AP-13', 'IN-14'] },
  'health counts what still waits for a person, not what ran out of time',
  async () => {
    const bench = await open(await place());
    const id = ticket(await bench.run(await bench.ask('pay', { amount: 1 })));
    expect(await checkOf(bench, 'approvals')).toMatchObject([{ status: 'warn' }]);
    const first = await bench.runtime.inspect(CALLER, 'approval', id);
    const { state } = first;
    const lasts = Date.parse(state.answer_by as string) - bench.clock.now();
    bench.clock.advance(lasts / 2);
    ticket(await bench.run(await bench.ask('pay', { amount: 2 })));
    expect((await checkOf(bench, 'approvals'))[0]?.detail).toMatch(/^2 pending.*\)$/);
    bench.clock.advance(lasts / 2);
    // What ran out waited as long as anything can: the limit may lie beyond that, as in the defaults.
    expect(await checkOf(bench, 'approvals')).toMatchObject([
      {
        status: 'fail',
        detail: expect.stringMatching(/^1 pending.*; 1 ran out in the last day$/) as unknown,
      },
    ]);
    bench.clock.advance(lasts / 2);
    expect(await checkOf(bench, 'approvals')).toEqual([
      {
        check: 'approvals',
        status: 'warn',
        detail: 'nothing waits for a person; 2 ran out in the last day',
        action: expect.stringContaining('max_wait_seconds') as unknown,
      },
    ]);
    expect((await bench.runtime.listApprovals(CALLER, { filter: { status: 'pending' } })).items).toEqual([]);
    expect((await bench.runtime.inspect(CALLER, 'approval', id)).state).toMatchObject({
      status: 'expired',
      answer_at: [],
    });
  },
);

verifies(
  { partial: ['IN-14', 'RF-17'] },
  'health names the calls that a dead process left in progress, and not those of a live one',
  async () => {
    const at = await place();
    const first = await open(at);
    const watcher = await open(at, { fakeClock: first.clock });
    const asked = await first.ask('note', { n: 1 });
    let began = (): void => undefined;
    let release = (): void => undefined;
    const running = new Promise<void>((resolve) => (began = resolve));
    const gate = new Promise<void>((resolve) => (release = resolve));
    first.tool.run = async () => {
      began();
      await gate;
      return OK;
    };
    const call = first.run(asked);
    await running;
    expect(await checkOf(watcher, 'effects')).toMatchObject([{ status: 'ok' }]);
    expect(await checkOf(first, 'effects')).toMatchObject([{ status: 'ok' }]);
    // Closing gives the lease up while the call is still out, as a crash does once the lease has run out.
    await first.runtime.close();
    const [left] = await checkOf(watcher, 'effects');
    expect(left).toMatchObject({ status: 'warn' });
    expect(left?.detail).toContain(
      `1 call(s) left in progress by a process that is gone, the oldest ${asked.tool_call_id}`,
    );
    expect(left?.action).toContain('requests list --status in_progress');
    expect(await checkOf(watcher, 'effects', OTHER)).toMatchObject([{ status: 'ok' }]);
    expect(await watcher.run(asked)).toMatchObject({ status: 'unknown' });
    const [settled] = await checkOf(watcher, 'effects');
    expect(settled?.detail).toContain('1 call(s) whose effect is unknown');
    release();
    await call.catch(() => undefined);
  },
);

verifies(
  { partial: ['PA-04'] },
  'health names every variable that a model profile reads and that is not set',
  async () => {
    const at = await place();
    const base = configFor(at);
    const wire = { ...PROFILE, provider: 'openai_compatible' as const };
    const profiles = {
      demo: { ...PROFILE, apiKeyEnv: 'UNREAD' },
      a: { ...wire, name: 'a', apiKeyEnv: 'A_KEY', baseUrlEnv: 'A_URL' },
      b: { ...wire, name: 'b', apiKeyEnv: 'B_KEY', baseUrl: 'https://b.example', baseUrlEnv: 'UNREAD' },
    };
    const config = { ...base, models: { default: 'demo', profiles } };
    const bench = await open(at, { config, env: { B_KEY: 'set' } });
    expect(await checkOf(bench, 'models')).toMatchObject([
      { status: 'warn', detail: 'not set: A_KEY (a), A_URL (a)' },
    ]);
  },
);

async function inventoryOf(runtime: RuntimeHandle): Promise<HealthCheck | undefined> {
  const { checks } = await runtime.getHealth(CALLER);
  return checks.find(({ check }) => check === 'inventory');
}

verifies(
  ['CI-05'],
  'health shows where inventory, catalog and pins differ, and fails where a tool is not what was agreed to',
  async () => {
    const rig = await pinRig();
    rig.offer([RUN, OTHER_TOOL]);
    const first = await rig.process();
    const none = { has_drift: false, missing_from_catalog: [], missing_from_inventory: [], changed: [] };
    const agreed = { status: 'ok', inventory: none };
    expect(await inventoryOf(first)).toMatchObject(agreed);
    await agree(first);
    expect(await inventoryOf(first)).toMatchObject(agreed);

    const approving = (...approvedCapabilities: string[]): Promise<RuntimeHandle> =>
      rig.process({ config: { ...rig.config, agent: { ...rig.config.agent, approvedCapabilities } } });
    const unapproved = await approving('hostile:run');
    expect(await inventoryOf(unapproved)).toMatchObject({
      status: 'warn',
      detail: 'in the catalog, but not approved: hostile:other',
      action: expect.stringContaining('approved_capabilities') as unknown,
      inventory: { ...none, has_drift: true, missing_from_inventory: ['hostile:other'] },
    });
    expect((await unapproved.getHealth(CALLER)).status).toBe('warn');
    expect(await call(unapproved, 'hostile:other')).toMatchObject({
      status: 'denied',
      decision: { rule_id: 'inventory' },
    });
    expect(await inventoryOf(await approving('hostile:run', 'hostile:other', 'hostile:gone'))).toMatchObject({
      status: 'fail',
      detail: 'approved, but not in the catalog: hostile:gone',
      inventory: { ...none, has_drift: true, missing_from_catalog: ['hostile:gone'] },
    });

    rig.offer([RUN, { ...OTHER_TOOL, description: 'Runs away.' }]);
    const serving = await rig.process();
    await call(serving);
    const what = 'quarantined: the server hostile changed after it was pinned: other';
    const both = ['hostile:other', 'hostile:run'].map((tool) => ({ tool, what }));
    expect(await inventoryOf(serving)).toMatchObject({
      status: 'fail',
      action: expect.stringContaining('capabilities pin') as unknown,
      inventory: { ...none, has_drift: true, changed: both },
    });
    expect((await serving.getHealth(CALLER)).status).toBe('fail');
    expect(await call(serving)).toMatchObject({ status: 'denied', decision: { rule_id: 'tool_pin' } });
  },
);

verifies(
  ['TC-07'],
  'a reply leaves a session resumable, a completion closes it, and an escalation stands before the operator until it is taken on',
  async () => {
    const bench = await open(await place());
    const says = (status: string): void =>
      bench.model.next({ text: JSON.stringify({ status, assistant_message: `it is ${status}` }) });
    const go = (more = {}): ReturnType<Bench['turn']> =>
      bench.turn({ messages: [{ role: 'user', content: 'go' }], ...more });
    const waiting = async (): Promise<(string | undefined)[]> =>
      (await checkOf(bench, 'escalations')).map(({ status, detail }) => `${status}: ${detail}`);
    const none = ['ok: no session was handed over to a person'];

    says('reply');
    const { session_id } = await go();
    expect(await waiting()).toEqual(none);
    says('escalate');
    await go({ session_id });
    expect(await waiting()).toEqual([`warn: 1 handed over to a person: ${session_id}`]);
    expect(await checkOf(bench, 'escalations', OTHER)).toMatchObject([{ status: 'ok' }]);
    says('complete');
    await go({ session_id });
    expect(await waiting()).toEqual(none);
    await expect(go({ session_id })).rejects.toThrow(/SESSION_CLOSED/);

    says('escalate');
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
    const managed = await bench.runtime.managed.start(CALLER, { executeTurnInput }, {}, IO);
    expect(await waiting()).toEqual([`warn: 1 handed over to a person: ${managed.session_id}`]);
    await bench.runtime.managed.cancel(CALLER, managed.session_id, 'nobody is there');
    expect(await waiting()).toEqual(none);
  },
);
