// A story that is longer than what is listed of it: what is said of the whole comes from the whole, and a cut is said.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { inspectItem } from '../../src/inspect/inspect.ts';
import type { InspectionView } from '../../src/inspect/inspect.ts';
import type { Append, Store } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { CALLER } from '../kernel/rig.ts';

const SESSION = 'ses_long';
const RUN = 'run_long';
const APPROVAL = 'apr_late';

interface Told {
  type: string;
  evidence: JsonObject;
}

/** One turn that asks for `calls` calls, of which the last one needs a person, is denied, and ends the run. */
function told(calls: number): Told[] {
  const of = { run_id: RUN, trace_id: 'trace' };
  const made = Array.from({ length: calls }, (_, n): Told[] => [
    {
      type: 'call_started',
      evidence: {
        ...of,
        ...{ call_id: `call_${n}`, receipt_id: `rcp_${n}`, tool: 'note', decision: 'allow' },
      },
    },
    { type: 'arguments_fixed', evidence: { ...of, call_id: `call_${n}`, tool: 'note' } },
    {
      type: 'call_finished',
      evidence: { ...of, call_id: `call_${n}`, receipt_id: `rcp_${n}`, tool: 'note', status: 'done' },
    },
  ]).flat();
  const denied: JsonObject = {
    ...of,
    ...{ call_id: 'call_last', tool: 'pay', decision: 'deny', rule_id: 'arg_schema', on_deny: 'end_run' },
    ...{ reasons: ['the amount is no number'], approval_id: APPROVAL },
  };
  return [
    { type: 'turn_started', evidence: { ...of, messages: [{ role: 'user', content: 'first words' }] } },
    ...made,
    { type: 'turn_completed', evidence: { ...of, assistant_message: { content: 'last words' } } },
    { type: 'call_denied', evidence: denied },
  ];
}

async function storeOf(records: readonly Told[]): Promise<Store> {
  const store = createMemoryStore({ keys: memoryTenantKeys(), ids: createFixedIds('long') });
  const chain = { tenant: 'local', aggregate: 'session', id: SESSION } as const;
  const owned = { tenant: 'local', principal: CALLER.principal, updatedAt: 1 };
  await store.commit({
    appends: records.map((one, at): Append => ({ chain, when: { seq: at }, at, ...one })),
    rows: [
      { row: { ...owned, kind: 'session', id: SESSION, status: 'open', body: {} } },
      { row: { ...owned, kind: 'run', id: RUN, status: 'denied', ref: SESSION, body: {} } },
    ],
  });
  await store.commit({
    appends: [
      {
        chain: { tenant: 'local', aggregate: 'approval', id: APPROVAL },
        when: { seq: 0 },
        at: records.length - 1,
        type: 'approval_canceled',
        evidence: {},
      },
    ],
  });
  return store;
}

function look(store: Store, kind: string, id: string): Promise<InspectionView> {
  return inspectItem({ store, now: 1_000_000 }, CALLER, kind, id);
}

test('what is said of a long run is read from all of its records, and the cut of its list is said', async () => {
  const records = told(200);
  const found = await look(await storeOf(records), 'run', RUN);
  expect(found.state).toMatchObject({
    ...{ user_input: 'first words', output_text: 'last words', approval_id: APPROVAL },
    ...{ failure_reason: 'the amount is no number', failure_mode: 'F3' },
    terminal_reason: 'failure_mode_terminal',
  });
  expect(found.receipts).toHaveLength(400);
  expect(found.links).toMatchObject({ approval_ids: [APPROVAL] });
  expect((found.links.request_ids as string[]).slice(-2)).toEqual(['call_199', 'call_last']);
  expect(found.timeline).toHaveLength(500);
  expect(found.timeline.slice(-2).map(({ type }) => type)).toEqual(['approval_canceled', 'call_denied']);
  expect(found.newest_only).toEqual(['timeline']);
});

test('of a long session the newest records are listed, and the ids come from all', async () => {
  const store = await storeOf(told(200));
  const found = await look(store, 'session', SESSION);
  expect(found.timeline.map(({ seq }) => seq)).toEqual(Array.from({ length: 500 }, (_, n) => n + 104));
  expect(found.links).toMatchObject({ approval_ids: [APPROVAL], trace_ids: ['trace'] });
  expect(found.newest_only).toEqual(['timeline']);
});

test('each list that is cut is named, and a list that is whole says nothing', async () => {
  expect((await look(await storeOf(told(1200)), 'run', RUN)).newest_only).toEqual([
    'timeline',
    'decisions',
    'receipts',
  ]);
  expect(await look(await storeOf(told(100)), 'run', RUN)).not.toHaveProperty('newest_only');
});
