import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { verifyStore } from '../../src/inspect/evidence.ts';
import type { ListQuery } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  APPROVE,
  CALLER,
  configFor,
  IO,
  OK,
  open,
  OTHER,
  PERSON,
  place,
  says,
  ticket,
  types,
} from './rig.ts';
import type { Bench } from './rig.ts';

async function listed(bench: Bench): Promise<Record<string, unknown[]>> {
  const { runtime } = bench;
  const status = (items: JsonObject[]): unknown[] => items.map((one) => one.status).sort();
  return {
    requests: status((await runtime.listRequests(CALLER, {})).items),
    sessions: status((await runtime.listSessions(CALLER, {})).items),
    approvals: status((await runtime.listApprovals(CALLER, {})).items),
    health: (await runtime.getHealth(CALLER)).checks.map((one) => one.check).sort(),
  };
}

const CHECKS = [
  ...[
    'approvals',
    'configuration',
    'connections',
    'effects',
    'escalations',
    'evidence',
    'inventory',
    'locks',
  ],
  ...['models', 'queue', 'scheduler', 'sessions', 'storage', 'tools'],
];

verifies(['IN-02'], 'lists and health answer while a call runs, after it, and after a restart', async () => {
  const at = await place();
  const bench = await open(at);
  const watcher = await open(at, { fakeClock: bench.clock });
  ticket(await bench.run(await bench.ask('pay', { amount: 1 })));
  const asked = await bench.ask('note', { n: 1 });
  let began = (): void => undefined;
  let release = (): void => undefined;
  const running = new Promise<void>((resolve) => (began = resolve));
  const gate = new Promise<void>((resolve) => (release = resolve));
  bench.tool.run = async () => {
    began();
    await gate;
    return OK;
  };
  const call = bench.run(asked);
  await running;
  const during = {
    requests: ['in_progress', 'waiting_approval'],
    sessions: ['open', 'open'],
    approvals: ['pending'],
    health: CHECKS,
  };
  expect(await listed(bench)).toEqual(during);
  expect(await listed(watcher)).toEqual(during);
  release();
  await call;
  const after = { ...during, requests: ['done', 'waiting_approval'] };
  expect(await listed(bench)).toEqual(after);
  await bench.runtime.close();
  await watcher.runtime.close();
  expect(await listed(await open(at, { fakeClock: bench.clock }))).toEqual(after);
});

verifies({ partial: ['IN-02'] }, 'a list is read page by page, without gaps or repeats', async () => {
  const bench = await open(await place());
  const made = new Set<string>();
  for (let n = 0; n < 7; n++) made.add((await bench.ask('note', { n })).session_id);
  const seen: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = await bench.runtime.listSessions(CALLER, {
      limit: 3,
      ...(cursor === undefined ? {} : { cursor }),
    });
    expect(page.items.length).toBeLessThanOrEqual(3);
    seen.push(...page.items.map((one) => one.session_id));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  expect(seen).toHaveLength(7);
  expect(new Set(seen)).toEqual(made);
  await expect(bench.runtime.listSessions(CALLER, { limit: 201 })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  });
});

async function paid(bench: Bench): Promise<{ asked: Awaited<ReturnType<Bench['ask']>>; id: string }> {
  const asked = await bench.ask('pay', { amount: 1 });
  const id = ticket(await bench.run(asked));
  bench.clock.advance(5000);
  await bench.runtime.deliverApproval(PERSON, id, APPROVE);
  bench.clock.advance(5000);
  await bench.run(asked);
  return { asked, id };
}

verifies(['IN-11'], 'request, run, session and approval lead to each other and to the records', async () => {
  const bench = await open(await place());
  const { asked, id } = await paid(bench);
  const { runtime } = bench;
  const { tool_call_id: call, session_id: session, run_id: run } = asked;
  const request = await runtime.inspect(CALLER, 'request', call);
  expect(request.links).toMatchObject({ session_id: session, run_id: run, approval_ids: [id] });
  const places = request.timeline.map((line) => `${line.chain as string}#${line.seq as number}`);
  expect(request.links.records).toEqual(places);
  expect(places).toHaveLength(3);
  const approval = await runtime.inspect(CALLER, 'approval', id);
  expect(approval.links).toEqual({ request_id: call, session_id: session, run_id: run });
  const ofRun = await runtime.inspect(CALLER, 'run', run);
  expect(ofRun.links).toMatchObject({ session_id: session, request_ids: [call], approval_ids: [id] });

  await bench.run(await bench.ask('note', { n: 1 }, { session_id: session }));
  const whole = await runtime.inspect(CALLER, 'session', session);
  expect(whole.links.request_ids).toHaveLength(2);
  expect(whole.links.request_ids).toContain(call);
  expect(whole.links.approval_ids).toEqual([id]);
  expect(whole.links.run_ids).toContain(run);
  expect(whole.links).not.toHaveProperty('newest_only');
});

verifies(
  { partial: ['IN-11'] },
  'the run of a direct call is found by the id that its answer gave',
  async () => {
    const bench = await open(await place());
    const { runtime } = bench;
    const done = await runtime.callCapability(CALLER, { tool: 'note', args: { n: 1 } }, IO);
    await runtime.callCapability(CALLER, { tool: 'note', args: { n: 2 } }, IO);
    const run = await runtime.inspect(CALLER, 'run', done.run_id);
    expect(run.state).toMatchObject({ run_id: done.run_id, status: 'success', session_id: done.session_id });
    expect(run.links.request_ids).toEqual([done.tool_call_id]);
    expect(run.receipts).toHaveLength(2);
    const session = await runtime.inspect(CALLER, 'session', done.session_id);
    expect(session.links.run_ids).toContain(done.run_id);
    await expect(runtime.inspect(OTHER, 'run', done.run_id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  },
);

/** Every key of a document, at any depth. */
function keysOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => [key, ...keysOf(one)]);
}

verifies(
  ['AP-05'],
  'an approval tells who asked, for whom, by what authority, how it was shown and who answered, in one spelling',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('pay', { amount: 1 });
    const id = ticket(await bench.run(asked));
    const { runtime } = bench;
    await runtime.deliverApproval(
      PERSON,
      id,
      { kind: 'not_shown', why: 'no_capability', latencyMs: 3 },
      CALLER.actor,
    );
    await runtime.deliverApproval(PERSON, id, { ...APPROVE, latencyMs: 10 });
    await runtime.deliverApproval(PERSON, id, {
      kind: 'answered',
      decision: 'approve',
      latencyMs: 4000,
      note: 'go',
    });
    const { state, timeline } = await runtime.inspect(CALLER, 'approval', id);
    const [listed] = (await runtime.listApprovals(CALLER, {})).items;
    expect(listed).toEqual(state);
    expect(state).toMatchObject({
      approval_id: id,
      trace_id: asked.trace_id,
      session_id: asked.session_id,
      tenant_id: 'local',
      agent_id: 'agent-1',
      capability_name: 'pay',
      requested_by: CALLER.actor,
      status: 'approved',
      resolution_note: 'go',
      authorization_mode: 'platform_owned',
      delegated_principal_id: '',
      delegated_scope: '',
      answered_by: { principal_id: PERSON.principal, tenant_id: 'local', attestation: 'client' },
      arguments: { amount: 1 },
    });
    for (const key of ['reviewer', 'reason', 'requested_at', 'answer_by', 'use_by']) {
      expect(state).toHaveProperty(key);
    }
    const iso: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(state.deliveries).toEqual([
      { channel: 'elicitation', kind: 'not_shown', why: 'no_capability', at: iso },
      {
        ...{ channel: 'elicitation', kind: 'answered', at: iso },
        why: 'the client answered faster than a person can read',
      },
      { channel: 'elicitation', kind: 'answered', at: iso },
    ]);
    expect(timeline.map((line) => line.at)).toEqual(timeline.map(() => iso));
    expect(timeline.map((line) => line.type)).toEqual([
      'approval_requested',
      ...['approval_delivered', 'approval_delivered', 'approval_delivered', 'approval_approved'],
    ]);
    expect(keysOf([state, timeline]).filter((key) => /[A-Z]/.test(key))).toEqual([]);

    const keyed = ticket(
      await runtime.callCapability(CALLER, { tool: 'pay', args: { amount: 9 }, idempotencyKey: 'k1' }, IO),
    );
    expect((await runtime.inspect(CALLER, 'approval', keyed)).state.idempotency_key).toBe('k1');
  },
);

verifies(
  { partial: ['IN-12'] },
  'one inspection of a run tells who, what, why, how it ended and with what proof',
  async () => {
    const at = await place();
    const bench = await open(at);
    const { asked, id } = await paid(bench);
    await bench.runtime.close();
    const later = await open(at, { fakeClock: bench.clock });
    const run = await later.runtime.inspect(CALLER, 'run', asked.run_id);
    expect(run.state).toMatchObject({
      run_id: asked.run_id,
      session_id: asked.session_id,
      trace_id: asked.trace_id,
      principal_id: CALLER.principal,
      agent_id: 'agent-1',
    });
    expect(run.decisions.map((one) => [one.tool, one.decision, one.rule_id])).toEqual([
      ['pay', 'approval_required', asked.decision?.rule_id],
    ]);
    expect(run.decisions[0]?.reasons).not.toEqual([]);
    expect(run.receipts.map((one) => [one.type, one.side_effect_status])).toEqual([
      ['call_started', null],
      ['call_finished', 'applied'],
    ]);
    expect(run.timeline.some((line) => line.type === 'approval_approved')).toBe(true);
    const started = run.timeline.find((line) => line.type === 'call_started');
    expect(started).toMatchObject({ approval_id: id, arguments: { amount: 1 } });
  },
);

verifies({ partial: ['IN-10'] }, 'a request shows its receipts and every record once', async () => {
  const bench = await open(await place());
  const { asked } = await paid(bench);
  await bench.run(asked);
  const found = await bench.runtime.inspect(CALLER, 'request', asked.tool_call_id);
  expect(types(found)).toEqual(['call_waiting', 'call_started', 'call_finished']);
  expect(new Set(found.timeline.map((line) => line.seq)).size).toBe(found.timeline.length);
  expect(found.state).toMatchObject({ status: 'done', tool: 'pay', side_effect_status: 'applied' });
  expect(found.receipts).toHaveLength(2);
});

verifies(['TC-12'], 'every record of a session says on whose behalf, by whom and in which run', async () => {
  const bench = await open(await place());
  const { asked } = await paid(bench);
  bench.model.next(new Error('the model broke'));
  await bench.runtime.executeTurn(
    CALLER,
    { session_id: asked.session_id, messages: [{ role: 'user', content: 'again' }] },
    IO,
  );
  const direct = await bench.runtime.callCapability(CALLER, { tool: 'forbidden', args: {} }, IO);
  const ticketed = { tool: 'ticket', args: { key: 'k1' } };
  await bench.runtime.callCapability(CALLER, ticketed, IO);
  await bench.runtime.callCapability(CALLER, ticketed, IO);
  const timeline: JsonObject[] = [];
  for (const session of [asked.session_id, direct.session_id]) {
    for (const line of (await bench.runtime.inspect(CALLER, 'session', session)).timeline) {
      timeline.push({ ...line, of: session });
    }
  }
  expect(new Set(timeline.map((line) => line.type))).toEqual(
    new Set([
      ...['session_started', 'turn_started', 'turn_completed', 'turn_failed'],
      ...['call_waiting', 'call_started', 'call_finished', 'call_denied', 'call_replayed'],
    ]),
  );
  for (const line of timeline) {
    expect(line).toMatchObject({
      tenant_id: 'local',
      principal_id: CALLER.principal,
      agent_id: 'agent-1',
      session_id: line.of,
      authorization_mode: 'platform_owned',
      delegated_principal_id: '',
      delegated_scope: '',
    });
    expect(line.trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(line.run_id).toMatch(/^run_/);
  }
});

verifies(
  ['EV-01'],
  'a governed call leaves a start and a finish receipt, and without a journal nothing runs',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('note', { n: 1 });
    let startedBefore: unknown;
    bench.tool.run = async () => {
      startedBefore = types(await bench.runtime.inspect(CALLER, 'request', asked.tool_call_id));
      return OK;
    };
    const answer = await bench.run(asked);
    expect(startedBefore).toEqual(['call_started']);
    const found = await bench.runtime.inspect(CALLER, 'request', asked.tool_call_id);
    expect(found.receipts.map((one) => one.receipt_id)).toEqual(answer.receipt_ids);
    expect(found.receipts.map((one) => one.type)).toEqual(['call_started', 'call_finished']);
    expect(await verifyStore(bench.runtime.store)).toMatchObject({ ok: true, bad: [] });

    const next = await bench.ask('note', { n: 2 });
    const { store } = bench.runtime;
    const commit = store.commit.bind(store);
    store.commit = (made) =>
      made.appends?.some((one) => one.type === 'call_started') === true
        ? Promise.reject(new RuntimeError('STORE_UNAVAILABLE'))
        : commit(made);
    await expect(bench.run(next)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(bench.effects).toHaveLength(1);
    store.commit = commit;
    expect((await bench.run(next)).status).toBe('done');
  },
);

verifies(
  { partial: ['LY-07'] },
  'the records of a run stand in the order in which it was carried out',
  async () => {
    const bench = await open(await place());
    const asked = await bench.ask('note', { n: 1 });
    await bench.run(asked);
    bench.model.next(says('done'));
    await bench.turn({ session_id: asked.session_id });
    const { timeline } = await bench.runtime.inspect(CALLER, 'run', asked.run_id);
    expect(timeline.map((line) => line.type)).toEqual([
      'session_started',
      'turn_started',
      'turn_completed',
      'call_started',
      'call_finished',
      'turn_started',
      'turn_completed',
    ]);
    expect(timeline.map((line) => line.seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  },
);

verifies(['TC-16'], 'a run takes as many tool hops as are configured, whatever turns are left', async () => {
  const at = await place();
  const config = configFor(at);
  const bench = await open(at, {
    config: { ...config, runtime: { ...config.runtime, maxToolHops: 2 } },
  });
  let asked = await bench.ask('note', { n: 0 });
  const session_id = asked.session_id;
  for (let n = 1; n <= 3; n++) {
    const answer = await bench.run(asked);
    expect(answer.status).toBe(n <= 2 ? 'done' : 'denied');
    if (n > 2) expect(answer.error?.code).toBe('LIMIT_EXCEEDED');
    const more = {
      session_id,
      messages: [{ role: 'tool' as const, content: '', tool_call_id: asked.tool_call_id, tool_name: 'note' }],
    };
    if (n < 3) asked = await bench.ask('note', { n }, more);
  }
  expect(bench.effects).toHaveLength(2);
});

verifies(
  { partial: ['IN-02', 'PO-22'] },
  'a capability shows its definition, pin, risk, scopes, what policy says of it and how its server is',
  async () => {
    const at = await place();
    const base = configFor(at);
    const scoped = {
      ...base.capabilities.pay!,
      scopes: [{ type: 'path' as const, pattern: 'out/**', access: 'write' as const }],
    };
    const config = { ...base, capabilities: { ...base.capabilities, pay: scoped } };
    const { runtime } = await open(at, { config });
    const pay = await runtime.inspect(CALLER, 'capability', 'pay');
    expect(pay).toMatchObject({
      kind: 'capability',
      id: 'pay',
      state: {
        ...{ in_catalog: true, pin: 'declared', risk_tier: 'medium', scopes: scoped.scopes, server: null },
        definition: { description: 'pay', input_schema: { type: 'object' } },
        policy: {
          ...{ reachable: true, approval_required: true, registry: 'allowed', in_inventory: true },
          rules: [{ id: 'all', layer: 'workspace workspace', decision: 'allow' }],
        },
      },
    });
    await expect(runtime.inspect(CALLER, 'capability', 'nowhere')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const first = await runtime.listCapabilities(CALLER, { limit: 3 });
    expect(first.items.map((one) => one.id)).toEqual(['look', 'note', 'pay']);
    const rest = await runtime.listCapabilities(CALLER, { limit: 3, cursor: first.next_cursor ?? '' });
    expect(rest.items.map((one) => one.id)).toEqual(['ticket']);
    expect(rest.next_cursor).toBeUndefined();
    const unpinned = await runtime.listCapabilities(CALLER, { filter: { status: 'unpinned' } });
    expect(unpinned.items).toEqual([]);
  },
);

test('a filter or a cursor that means nothing is refused by name, in every list', async () => {
  const { runtime } = await open(await place());
  const lists: [name: string, list: (query: ListQuery) => Promise<unknown>, word: string][] = [
    ['request', (query) => runtime.listRequests(CALLER, query), 'waiting_approval'],
    ['session', (query) => runtime.listSessions(CALLER, query), 'escalated'],
    ['approval', (query) => runtime.listApprovals(CALLER, query), 'consumed'],
    ['capability session', (query) => runtime.listCapabilitySessions(CALLER, query), 'resumable'],
    ['capability', (query) => runtime.listCapabilities(CALLER, query), 'quarantined'],
  ];
  for (const [name, list, word] of lists) {
    const wrong = list({ filter: { status: 'no_such' } });
    await expect(wrong, name).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(
        `^/filter/status: no ${name} has the status no_such; known: .*${word}`,
      ) as string,
      details: { field: '/filter/status' },
    });
    await expect(list({ filter: { status: word } }), name).resolves.toMatchObject({ items: [] });
    await expect(list({ cursor: 'garbage' }), name).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { field: '/cursor' },
    });
  }
});
