// What stands on record of a server that asks for what it does not get: the first few of a minute, and how many more.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { MOST_A_MINUTE, Refusals } from '../../src/capabilities/sessions/refusals.ts';
import { createFakeClock } from '../../src/testing/index.ts';
import { createBench, hostile } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

async function refused({ store }: Bench): Promise<JsonObject[]> {
  const { items } = await store.list({ kind: 'capability_session', tenant: 't', limit: 1 });
  const records = await store.read({ tenant: 't', aggregate: 'capability_session', id: items[0]?.id ?? '' });
  return records.flatMap(({ header, evidence }) =>
    header.type === 'capability_request_refused' && evidence.state === 'present' ? [evidence.value] : [],
  );
}

test('a server that asks without end fills no journal, and its one question is still put', async () => {
  const bench = createBench([hostile('demands')]);
  const asked: string[] = [];
  const ask = async ({ message }: { message: string }): Promise<{ action: 'decline' }> => {
    asked.push(message);
    return { action: 'decline' };
  };
  const result = await bench.call('hostile:run', {}, { ask });
  expect(result).toMatchObject({ kind: 'result', content: [{ text: ' ask:decline' }] });
  expect(asked).toEqual(['Who?']);
  await bench.end();
  const records = await refused(bench);
  expect(records).toHaveLength(MOST_A_MINUTE + 1);
  expect(records[0]).toMatchObject({ method: 'x'.repeat(99), why: 'it is not known here' });
  expect(records.at(-1)).toMatchObject({ left_out: 500 - MOST_A_MINUTE });
});

test('each minute begins anew, and the number left out of the one before is told when it is over', async () => {
  const clock = createFakeClock();
  const noted: JsonObject[] = [];
  const refusals = new Refusals({
    clock,
    redact: (text) => text.replaceAll('secret', '***'),
    note: async (one) => void noted.push(one),
    noteLater: (one) => noted.push(one),
  });
  for (let at = 0; at < MOST_A_MINUTE - 1; at++) refusals.addLater({ method: 'a', why: 'no' });
  await refusals.add({ method: 'secret/get\ud800', why: 'no', callId: 'call_1' });
  await refusals.add({ method: 'one', why: 'no' });
  refusals.leave(2);
  expect(noted).toHaveLength(MOST_A_MINUTE);
  expect(noted.at(-1)).toEqual({ method: '***/get\ufffd', why: 'no', call_id: 'call_1' });
  clock.advance(60_000);
  expect(noted.at(-1)).toEqual({ left_out: 3, why: 'more than 20 in a minute' });
  refusals.addLater({ method: 'b', why: 'no' });
  expect(noted.at(-1)).toEqual({ method: 'b', why: 'no' });
  refusals.end();
  expect(noted).toHaveLength(MOST_A_MINUTE + 2);
});
