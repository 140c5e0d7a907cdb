// Shows that an erasure reaches a process that has the session in memory: nothing of what was erased is used there any more.
import { expect, test } from 'vitest';
import { chainRecords } from '../../src/inspect/evidence.ts';
import { createPasts } from '../../src/pack/sessions/past.ts';
import { eraseWork } from '../../src/runtime/retention.ts';
import type { RetentionParts } from '../../src/runtime/retention.ts';
import type { Store, StoredRow } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { createPackRig } from '../pack/rig.ts';
import { CALLER, configFor, IO, OK, OTHER, open, place, refusal, types } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const WORD = 'a private word';
const NO_COPIES = { remove: async (): Promise<void> => undefined };

interface Both {
  at: Place;
  /** The process that has the session in memory. */
  serving: Bench;
  terminal: Bench;
}

async function both(): Promise<Both> {
  const at = await place();
  const serving = await open(at);
  return { at, serving, terminal: await open(at, { fakeClock: serving.clock }) };
}

async function erase({ runtime, clock }: Bench, id: string): Promise<void> {
  const parts: RetentionParts = { store: runtime.store, clock, copies: NO_COPIES };
  await eraseWork(parts, (await rowOf(runtime.store, id))!, 'asked for');
}

const rowOf = (store: Store, id: string): Promise<StoredRow | undefined> =>
  store.row('session', CALLER.tenant, id);

const toldIn = ({ model }: Bench): string => JSON.stringify(model.inputs);

/** Who erases: an operator in a terminal, or whoever uses the library in the very process. */
const BY = ['terminal', 'serving'] as const;

test.each(BY)('no turn tells a model what was erased, by the %s process', async (by) => {
  const of = await both();
  const { serving } = of;
  const { session_id } = await serving.turn({ messages: [{ role: 'user', content: WORD }] });
  await erase(of[by], session_id);
  const sent = serving.model.inputs.length;
  const again = { session_id, messages: [{ role: 'user' as const, content: 'go on' }] };
  const refused = await serving.runtime.executeTurn(CALLER, again, IO);
  expect(refused).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect(serving.model.inputs).toHaveLength(sent);
  // It is what a process says that has never seen the session, and what a stranger is told.
  const fresh = await open(of.at, { fakeClock: serving.clock });
  const error = 'error' in refused ? refused.error : undefined;
  expect(await fresh.runtime.executeTurn(CALLER, again, IO)).toMatchObject({ error });
  const foreign = await fresh.runtime.executeTurn(OTHER, again, IO);
  expect(foreign).toMatchObject({ error: { message: `Session not found: ${session_id}` } });
});

test.each(BY)(
  'a call that was requested before is not run with what was erased, by the %s process',
  async (by) => {
    const of = await both();
    const asked = await of.serving.ask('note', { text: WORD });
    await erase(of[by], asked.session_id);
    await expect(of.serving.run(asked)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(of.serving.effects).toEqual([]);
  },
);

/** A store in memory; what is set as `next` is done before the next commit that has a record of the type. */
function meddled(): { store: Store; before: (type: string, act: () => Promise<unknown>) => void } {
  const inner = createMemoryStore();
  let next: { type: string; act: () => Promise<unknown> } | undefined;
  const commit: Store['commit'] = async (one) => {
    const due = next;
    if (due !== undefined && one.appends?.some(({ type }) => type === due.type) === true) {
      next = undefined;
      await due.act();
    }
    return inner.commit(one);
  };
  return { store: { ...inner, commit }, before: (type, act) => void (next = { type, act }) };
}

test.each([
  ['turn_started', { code: 'NOT_FOUND' }, 1],
  ['turn_completed', { code: 'CONFLICT' }, 2],
])(
  'of a turn that is under way nothing is added behind an erasure: before its %s',
  async (type, error, sent) => {
    const { store, before } = meddled();
    const rig = createPackRig({ store });
    const { session_id } = await rig.ok({ messages: [{ role: 'user', content: WORD }] });
    const parts: RetentionParts = { store, clock: rig.clock, copies: NO_COPIES };
    before(type, async () => eraseWork(parts, (await rowOf(store, session_id))!, 'asked for'));
    expect(await rig.fails({ session_id, messages: [{ role: 'user', content: WORD }] })).toMatchObject({
      error,
    });
    expect(rig.model.inputs).toHaveLength(sent);
    const records = await rig.records(session_id);
    expect(records.at(-1)?.header.type).toBe('payload_erased');
    expect((await rowOf(store, session_id))?.body).toHaveProperty('erased_at');
  },
);

test('while a call is under way its session is not erased: its result would lie behind', async () => {
  const { serving, terminal } = await both();
  const asked = await serving.ask('note', { text: WORD });
  const { session_id: id, tool_call_id: call } = asked;
  serving.tool.run = async () => {
    const refused = { code: 'CONFLICT', details: { request_id: call } };
    await expect(erase(terminal, id)).rejects.toMatchObject(refused);
    return OK;
  };
  expect(await serving.run(asked)).toMatchObject({ status: 'done' });
  await erase(terminal, id);
});

test('a copy that was made while its session was erased goes too', async () => {
  const { serving, terminal } = await both();
  const { session_id } = await serving.turn({ messages: [{ role: 'user', content: WORD }] });
  const left = new Set([session_id]);
  const remove = async (id: string): Promise<void> => void left.delete(id);
  const { store } = terminal.runtime;
  const erasing: Store = Object.assign(Object.create(store) as Store, {
    erase: (...of: Parameters<Store['erase']>) => {
      left.add(session_id);
      return store.erase(...of);
    },
  });
  await eraseWork(
    { store: erasing, clock: serving.clock, copies: { remove } },
    (await rowOf(store, session_id))!,
    '',
  );
  expect([...left]).toEqual([]);
});

test('rules that look back do not see what was erased', async () => {
  const { at, serving, terminal } = await both();
  const { store } = serving.runtime;
  const past = createPasts(store, configFor(at));
  const asked = await serving.ask('note', { text: WORD });
  await serving.run(asked);
  const chain = { tenant: CALLER.tenant, aggregate: 'session' as const, id: asked.session_id };
  expect(await past(chain)).not.toHaveProperty('why');
  await erase(terminal, asked.session_id);
  expect(await past(chain)).toMatchObject({ why: expect.stringContaining('erased') as string });
});

test('of what was erased in part the rest goes on, and what is gone is told as gone', async () => {
  const { serving, terminal } = await both();
  const asked = await serving.ask('note', { text: 'x' });
  serving.tool.run = async () => ({
    ...{ kind: 'result', isError: false, notes: [] },
    content: [{ type: 'text', text: WORD }],
  });
  await serving.run(asked);
  const { session_id } = asked;
  await serving.turn({ session_id, messages: [] });
  expect(toldIn(serving)).toContain(WORD);
  const chain = { tenant: CALLER.tenant, aggregate: 'session' as const, id: session_id };
  const seqs: number[] = [];
  for await (const { header } of chainRecords(terminal.runtime.store, chain)) {
    if (header.type === 'call_finished') seqs.push(header.seq);
  }
  await terminal.runtime.store.erase(chain, seqs, serving.clock.now(), 'asked for');
  serving.model.inputs.length = 0;
  await serving.turn({ session_id });
  expect(toldIn(serving)).not.toContain(WORD);
  expect(toldIn(serving)).toContain('has been erased');
});

test('an erased session is shown as it was erased, and every question about its work answers that it is not there', async () => {
  const { serving, terminal } = await both();
  const managed = await serving.runtime.startSession(
    CALLER,
    { execute_turn_input: { messages: [{ role: 'user', content: WORD }] } },
    IO,
  );
  const { session_id } = managed;
  expect(JSON.stringify(managed)).toContain('suspended');
  await erase(terminal, session_id);
  for (const ask of [
    serving.runtime.resumeSession(CALLER, { session_id }, IO),
    serving.runtime.cancel(CALLER, { session_id }),
  ]) {
    expect(await refusal(ask, session_id)).toMatchObject({ code: 'NOT_FOUND' });
  }
  const found = await serving.runtime.inspect(CALLER, 'session', session_id);
  expect(found.state).toHaveProperty('erased_at');
  expect(types(found).at(-1)).toBe('payload_erased');
  expect(JSON.stringify(found)).not.toContain(WORD);
});
