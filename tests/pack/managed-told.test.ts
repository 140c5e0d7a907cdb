// What a process tells of a managed session that it has run itself, without reading it back, is what any other one reads.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { Unflushed } from '../../src/base/series.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { createSessions } from '../../src/pack/sessions/sessions.ts';
import type { Commit, Store } from '../../src/store/contract.ts';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import type { TurnMessage } from '../../src/pack/turn/contract.ts';
import {
  asks,
  boot,
  CALLER,
  createWorld,
  decide,
  governed,
  IO,
  OTHER,
  says,
  toolsTold,
} from '../managed/rig.ts';
import type { Mind, Process, World } from '../managed/rig.ts';

// Written in another order than they lie in a record.
const message = (content: string): TurnMessage => ({ content, role: 'user' });
const usage = { total_tokens: 3, output_tokens: 2, input_tokens: 1 };

/** Asks for this tool so many times, then ends. */
const calling =
  (tool: string, times: number): Mind =>
  (input) =>
    toolsTold(input) < times
      ? { ...asks(tool, { zeta: toolsTold(input), alpha: { y: 1, b: [{ d: 1, c: 2 }] } }), usage }
      : { ...governed({ status: 'complete', assistant_message: 'done' }), usage };

const result = (over: object): ExecutionResult => ({
  kind: 'result',
  content: [{ type: 'text', text: 'found' }],
  isError: false,
  notes: [],
  ...over,
});

const RESULTS: Record<string, ExecutionResult> = {
  plain: result({}),
  structured: result({
    content: [
      { type: 'text', text: '{"b":1,"a":2}' },
      { type: 'image', mimeType: 'image/png', data: 'AA==' },
    ],
    structured: { zeta: 1, alpha: { y: [{ q: 1, p: 2 }], b: null } },
  }),
  large: result({ content: [{ type: 'text', text: 'x'.repeat(40_000) }] }),
  failed: result({ isError: true, content: [{ type: 'text', text: 'no' }] }),
  lost: {
    ...{ kind: 'failed', code: 'TOOL_TIMEOUT', message: 'late' },
    ...{ sideEffect: 'side_effect_unknown', notes: [] },
  },
};

async function begin(at: Process, how: object = {}): Promise<string> {
  const { session_id: id } = await at.managed.create(CALLER, {
    executeTurnInput: { messages: [message('go'), message('now')] },
  });
  await toldAlike(at, id, { reason: 'created', ...how });
  return id;
}

const worlds = new WeakMap<Process, World>();

function born(mind: Mind): Process {
  const world = createWorld({ mind });
  const at = boot(world);
  worlds.set(at, world);
  return at;
}

/** Runs it on, and compares the answer with what a process tells that has never seen it. */
async function toldAlike(at: Process, id: string, how: object): Promise<void> {
  const told = await at.managed.run(CALLER, id, how, IO);
  const other = boot(worlds.get(at)!);
  expect(JSON.stringify(told)).toBe(JSON.stringify(await other.managed.result(CALLER, id)));
  expect(JSON.stringify(await at.managed.result(CALLER, id))).toBe(JSON.stringify(told));
  expect(JSON.stringify(await at.managed.continuations(CALLER, id))).toBe(
    JSON.stringify(await other.managed.continuations(CALLER, id)),
  );
}

test.each(Object.keys(RESULTS))(
  'a %s result is told alike by who ran it and by who reads it',
  async (name) => {
    const at = born(calling('note', 3));
    at.rig.tool.run = async () => RESULTS[name]!;
    const id = await begin(at, { maxTurns: 2 });
    expect(at.rig.effects).not.toHaveLength(0);
    await toldAlike(at, id, { continuationMessages: [message('more')] });
  },
);

test('so are calls that wait, are approved, refused or denied, and several at once', async () => {
  const two: Mind = (input) =>
    toolsTold(input) === 0
      ? {
          ...asks('pay', { b: 1, a: 2 }),
          toolCalls: ['pay', 'note', 'none'].map((name, n) => ({
            ...{ id: `native-${n}`, name, rawInput: JSON.stringify({ z: n, a: n }) },
          })),
        }
      : says('ok');
  const at = born(two);
  const id = await begin(at);
  const waits = await at.managed.result(CALLER, id);
  expect(waits).toMatchObject({ kind: 'approval_required' });
  await decide(at, waits?.kind === 'approval_required' ? waits.pending_request_id : '', 'approve');
  await toldAlike(at, id, {});
  await toldAlike(at, id, { continuationMessages: [message('again')] });
});

test('so are messages that no turn has taken in', async () => {
  const at = born(calling('note', 1));
  const id = await begin(at, { callerNow: () => undefined });
  expect(await at.managed.result(CALLER, id)).toMatchObject({ kind: 'error', turn_count: 0 });
  await toldAlike(at, id, { continuationMessages: [message('more')], callerNow: () => undefined });
});

test('so is a session that another process carried on in between', async () => {
  const at = born(calling('note', 6));
  const id = await begin(at, { maxTurns: 2 });
  const other = boot(worlds.get(at)!);
  await other.managed.run(CALLER, id, { maxTurns: 2 }, IO);
  await toldAlike(at, id, { maxTurns: 1 });
  await other.managed.cancel(CALLER, id, 'enough');
  expect(JSON.stringify(await at.managed.result(CALLER, id))).toBe(
    JSON.stringify(await boot(worlds.get(at)!).managed.result(CALLER, id)),
  );
});

const begun = (at: Process): Promise<ManagedResult> =>
  at.managed.start(CALLER, { executeTurnInput: { messages: [message('go')] } }, {}, IO);

test('so is a session that was created and run at once', async () => {
  const at = born(calling('note', 2));
  const told = await begun(at);
  expect(told).toMatchObject({ kind: 'completed', tool_call_count: 2 });
  const other = boot(worlds.get(at)!);
  expect(JSON.stringify(told)).toBe(JSON.stringify(await other.managed.result(CALLER, told.session_id)));
  const first = (await at.managed.continuations(CALLER, told.session_id)).map(({ kind }) => kind);
  expect(first).toEqual(['created', 'completed']);
});

test('a run that this process began reads no record of it back', async () => {
  const at = born(calling('note', 4));
  const { counted } = at.rig;
  const unsealed: number[] = [];
  const { unseal } = at.rig.store;
  at.rig.store.unseal = (chain, seq) => {
    unsealed.push(seq);
    return unseal(chain, seq);
  };
  const told = await at.start('go');
  expect(told).toMatchObject({ kind: 'completed', tool_call_count: 4 });
  expect([counted.reads.records, unsealed]).toEqual([0, []]);
  await expect(at.managed.result(OTHER, told.session_id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('what was erased is not told from memory', async () => {
  const at = born(calling('note', 1));
  at.rig.tool.run = async () => RESULTS.plain!;
  const id = await begin(at);
  const told = async (by: Process): Promise<string> => JSON.stringify(await by.managed.result(CALLER, id));
  expect(await told(at)).toContain('found');
  const chain = { tenant: 'local', aggregate: 'session', id } as const;
  const records = await at.rig.records(id);
  const seqs = records
    .filter(({ header }) => header.type === 'call_finished')
    .map(({ header }) => header.seq);
  await at.rig.store.erase(chain, seqs, at.rig.clock.now(), 'asked');
  expect(await told(at)).toBe(await told(boot(worlds.get(at)!)));
  expect(await told(at)).not.toContain('"content":[{"text":"found"');
});

function isEnd(commit: Commit): boolean {
  return commit.appends?.some(({ type }) => type === 'invocation_ended') === true;
}

test('the end of a run and its hold are written together: nothing is asked of the store in between', async () => {
  const asked: string[] = [];
  const world = createWorld({ mind: calling('note', 1) });
  const at = boot(world, (store) => {
    const named = (key: string, value: unknown): unknown =>
      typeof value === 'function'
        ? (...args: unknown[]) => {
            const [first, series] = args as [Commit, unknown];
            if (key === 'commit') asked.push(`${isEnd(first) ? 'end' : key} ${first.flush ?? ''}`);
            else asked.push(key === 'head' && series !== undefined ? 'head ahead' : key);
            return (value as (...all: unknown[]) => unknown)(...args);
          }
        : value;
    return Object.fromEntries(
      Object.entries(store).map(([key, value]) => [key, named(key, value)]),
    ) as unknown as Store;
  });
  await begun(at);
  // The hold and the birth too; what this process wrote last it knows.
  expect(asked.slice(0, 3)).toEqual(['claim', 'commit with_next', 'head ahead']);
  const place = asked.indexOf('end with_next');
  expect(place).toBeGreaterThan(0);
  expect(asked.slice(place)).toEqual(['end with_next', 'release']);
});

/** A store that undoes the first commit of this type that a series was told, as one whose transaction fails does. */
function forgetful(store: Store, type: string): Store {
  const told = { lost: false };
  return {
    ...store,
    async commit(commit) {
      commit.after?.assertWhole();
      const [append] = commit.appends ?? [];
      const isIt = commit.series !== undefined && append?.type === type && !told.lost;
      if (append === undefined || !isIt) return store.commit(commit);
      told.lost = true;
      const what = new Unflushed();
      commit.series?.tell(what);
      what.lose(new RuntimeError('STORE_UNAVAILABLE'));
      const { seq } = (await store.head(append.chain)) ?? { seq: 0 };
      return { ok: true, heads: [{ chain: append.chain, seq: seq + 1, hash: 'none' }], counters: new Map() };
    },
  };
}

test('a session whose birth was undone is not run, and there is none', async () => {
  const world = createWorld();
  const at = boot(world, (store) => forgetful(store, 'session_started'));
  await expect(begun(at)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect((await world.store.list({ kind: 'session', tenant: 'local', limit: 9 })).items).toEqual([]);
  expect(at.model.inputs).toEqual([]);
});

test.each([
  ['invocation_started', 0, 0],
  ['invocation_ended', 2, 1],
])('a run whose %s was undone answers so, and has gone on for no effect', async (type, turns, effects) => {
  const world = createWorld({ mind: calling('note', 1) });
  const at = boot(world, (store) => forgetful(store, type));
  await expect(at.start('go')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(world.effects).toHaveLength(effects);
  const [row] = (await world.store.list({ kind: 'session', tenant: 'local', limit: 9 })).items;
  const { rig } = boot(world);
  const { state } = await createSessions(rig.store).load(CALLER, row!.id);
  expect(state.turnCount).toBe(turns);
  // Whoever carries it on finds what is there, and ends it.
  expect(await boot(world).resume(row!.id)).toMatchObject({ kind: 'completed', turn_count: 2 });
  expect(world.effects).toHaveLength(1);
});

test('what is streamed is on disk before it is told; the other steps of the run are one series', async () => {
  const at = born(calling('note', 1));
  for (const stream of [false, true]) {
    const { commits } = at.rig.counted;
    const before = commits.length;
    const { session_id: id } = await at.managed.create(CALLER, {
      executeTurnInput: { messages: [message('go')], stream },
    });
    await at.managed.run(CALLER, id, { reason: 'created' }, { ...IO, snapshot: () => undefined });
    const told = commits
      .slice(before)
      .flatMap(({ series, appends = [] }) => (series === undefined ? [] : appends.map(({ type }) => type)));
    expect(told).toEqual([
      'invocation_started',
      'turn_started',
      ...(stream ? [] : ['turn_completed']),
      'call_finished',
      'turn_started',
      ...(stream ? [] : ['turn_completed', 'session_closed']),
      'invocation_ended',
    ]);
  }
});
