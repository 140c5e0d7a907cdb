// A large result is kept beside its record: given back whole, unreadable in every file, and gone with its record.
import { expect, test } from 'vitest';
import { verifyStore } from '../../src/inspect/evidence.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { ChainKey } from '../../src/store/contract.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, filesUnder, IO, open, place } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const WORD = 'private-canary-words';
const KIB = 1024;

function ask(bench: Bench, callId: string): Promise<CallAnswer> {
  return bench.runtime.callCapability(CALLER, { tool: 'look', args: { callId }, callId }, IO);
}

/** One call whose text has that many bytes. */
async function called(bench: Bench, callId: string, bytes: number): Promise<CallAnswer> {
  const text = WORD.padEnd(bytes, 'ü');
  bench.tool.run = () =>
    Promise.resolve({ kind: 'result', content: [{ type: 'text', text }], isError: false, notes: [] });
  const answer = await ask(bench, callId);
  expect(answer.result).toMatchObject({ content: [{ type: 'text', text }], replayed: false });
  return answer;
}

async function sealedOf(
  bench: Bench,
  answer: CallAnswer,
): Promise<{ chain: ChainKey; seq: number; sealed: JsonObject }> {
  const chain: ChainKey = { tenant: CALLER.tenant, aggregate: 'session', id: answer.session_id };
  const records = await bench.runtime.store.read(chain);
  const seq = records.findLast(({ header }) => header.type === 'call_finished')?.header.seq ?? 0;
  const sealed = await bench.runtime.store.unseal(chain, seq);
  return { chain, seq, sealed: sealed.state === 'present' ? (sealed.value as JsonObject) : {} };
}

async function stands(at: Place): Promise<string[]> {
  return (await filesUnder(at.root)).filter(({ bytes }) => bytes.includes(WORD)).map(({ name }) => name);
}

verifies(
  { partial: ['EV-02'] },
  'a result over 16 KiB lies in a blob named by its bytes, and every reader gets it whole',
  async () => {
    const at = await place();
    const bench = await open(at);
    const small = await called(bench, 'small', 4 * KIB);
    expect((await sealedOf(bench, small)).sealed).toHaveProperty('content');
    for (const [name, bytes] of [
      ['row', 100 * KIB],
      ['file', 1500 * KIB],
    ] as const) {
      const answer = await called(bench, name, bytes);
      const { sealed } = await sealedOf(bench, answer);
      expect(JSON.stringify(sealed).length).toBeLessThan(500);
      const ran = bench.effects.length;
      expect((await ask(bench, name)).result).toEqual({ ...answer.result, replayed: true });
      expect(bench.effects).toHaveLength(ran);
    }
    expect((await verifyStore(bench.runtime.store)).ok).toBe(true);
  },
);

test('the model is told the whole of it', async () => {
  const bench = await open(await place());
  const asked = await bench.ask('look', { q: 1 });
  const text = `${WORD.padEnd(40 * KIB, 'x')} the end`;
  bench.tool.run = () =>
    Promise.resolve({ kind: 'result', content: [{ type: 'text', text }], isError: false, notes: [] });
  await bench.run(asked);
  bench.model.next({
    text: '{"status":"reply","assistant_message":"ok"}',
    toolCalls: [],
    finishReason: 'stop',
  });
  await bench.turn({ session_id: asked.session_id, messages: [] });
  expect(JSON.stringify(bench.model.inputs.at(-1))).toContain(WORD);
});

verifies(
  { partial: ['EV-02'] },
  'erasing its record erases it, and leaves an equal result of another call',
  async () => {
    const at = await place();
    const bench = await open(at);
    const first = await called(bench, 'first', 2000 * KIB);
    const { chain, seq } = await sealedOf(bench, first);
    await called(bench, 'second', 2000 * KIB);
    const { store } = bench.runtime;
    await store.erase(chain, [seq], bench.clock.now(), 'asked');
    const gone = await ask(bench, 'first');
    expect(JSON.stringify(gone.result)).toContain('has been erased');
    expect(JSON.stringify(gone.result)).not.toContain(WORD);
    expect(JSON.stringify((await ask(bench, 'second')).result)).toContain(WORD);
    expect(await verifyStore(store)).toMatchObject({ ok: true, erased: 1 });
  },
);

test('no file holds a word of it', async () => {
  const at = await place();
  const bench = await open(at);
  bench.tool.run = () =>
    Promise.resolve({
      kind: 'result',
      // What evidence shows is cut long before the word.
      content: [{ type: 'text', text: `${'x'.repeat(3000 * KIB)}${WORD}` }],
      isError: false,
      notes: [],
    });
  expect((await ask(bench, 'call')).status).toBe('done');
  await bench.runtime.close();
  expect(await stands(at)).toEqual([]);
});
