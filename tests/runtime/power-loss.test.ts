// What a loss of power leaves is what was flushed: at every flush the database is set aside as it is then, and whatever leaves
// the process, an effect or an answer, has to be found in what lies aside at that moment.
import { copyFileSync, existsSync, fstatSync, mkdirSync, statSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Series } from '../../src/base/series.ts';
import { randomIds } from '../../src/base/ids.ts';
import { systemClock } from '../../src/base/clock.ts';
import { runGovernedAgentLoop } from '../../src/pack/index.ts';
import type { StoredRecord } from '../../src/store/contract.ts';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { append } from '../contract/store-words.ts';
import { PROFILE } from '../pack/rig.ts';
import { asks, CALLER, configFor, IO, OK, open, place, says, types } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const fs = createRequire(import.meta.url)('node:fs') as {
  fdatasyncSync: (fd: number) => void;
  fdatasync: (fd: number, done: (error: Error | null) => void) => void;
};

interface Aside {
  flushes: () => number;
  /** Types of the records of a session that a loss of power would leave now, in order. */
  left(sessionId: string): Promise<string[]>;
}

/** Sets the files aside at every flush of this process. */
function setAside(at: Place): Aside {
  const file = join(at.workspace, '.agent-runtime', 'runtime.db');
  const aside = join(at.root, 'aside');
  mkdirSync(aside);
  let [flushes, opened] = [0, 0];
  const take = (number: number): void => {
    for (const end of ['', '-wal']) copyFileSync(`${file}${end}`, join(aside, `${number}.db${end}`));
  };
  const isOurs = (fd: number): boolean => fstatSync(fd).ino === statSync(`${file}-wal`).ino;
  const { fdatasyncSync, fdatasync } = fs;
  fs.fdatasyncSync = (fd) => {
    fdatasyncSync(fd);
    if (!isOurs(fd)) return;
    take(flushes + 1);
    flushes += 1;
  };
  fs.fdatasync = (fd, done) => {
    if (isOurs(fd)) take(flushes + 1); // what is written while it runs may be left out
    fdatasync(fd, (error) => {
      if (isOurs(fd)) flushes += 1;
      done(error);
    });
  };
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(fs, { fdatasyncSync, fdatasync });
    syncBuiltinESMExports();
  });
  return {
    flushes: () => flushes,
    async left(sessionId) {
      const of = join(aside, `${flushes}.db`);
      if (!existsSync(of)) return [];
      const path = join(aside, `left-${++opened}.db`);
      for (const end of ['', '-wal']) copyFileSync(`${of}${end}`, `${path}${end}`);
      const keys = fileTenantKeys(join(at.state, 'keys'), randomIds);
      const store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
      const records: StoredRecord[] = await store.read({
        tenant: CALLER.tenant,
        aggregate: 'session',
        id: sessionId,
      });
      await store.close();
      return records.map(({ header }) => header.type);
    },
  };
}

const ALL = [
  'session_started',
  'turn_started',
  'turn_completed',
  'call_started',
  'call_finished',
  'turn_started',
  'turn_completed',
];

interface Rig extends Bench {
  at: Place;
  aside: Aside;
}

async function rigged(provider: 'scripted' | 'openai_compatible' = 'scripted'): Promise<Rig> {
  const at = await place();
  const models = { default: 'demo', profiles: { demo: { ...PROFILE, provider } } };
  const bench = await open(at, { config: configFor(at, { models }) });
  return { ...bench, at, aside: setAside(at) };
}

const loop = ({ runtime }: Rig, maxTurns?: number): ReturnType<typeof runGovernedAgentLoop> =>
  runGovernedAgentLoop({
    runtime,
    caller: CALLER,
    io: IO,
    executeTurnInput: { messages: [{ role: 'user', content: 'look' }] },
    ...(maxTurns === undefined ? {} : { maxTurns }),
  });

const HOWEVER: Record<string, (rig: Rig, stop: AbortController) => void> = {
  'a model that fails': ({ model }) => {
    const { generate } = model;
    model.generate = (input, io) =>
      input.turnIndex > 0 ? Promise.reject(new Error('gone')) : generate(input, io);
    model.next(asks('look', { q: 1 }));
  },
  'a person who is needed': ({ model }) => {
    model.next({
      text: '',
      toolCalls: ['look', 'pay', 'note'].map((name) => ({ id: name, name, rawInput: '{}' })),
      finishReason: 'tool_calls',
    });
  },
  'an abort while a tool runs': ({ model, tool }, stop) => {
    model.next(asks('look', { q: 1 }), says('Done.'));
    tool.run = () => {
      stop.abort();
      return Promise.resolve(OK);
    };
  },
  'an abort while a model is asked': ({ model }, stop) => {
    const { generate } = model;
    model.next(asks('look', { q: 1 }));
    model.generate = (input, io) => {
      if (input.turnIndex > 0) stop.abort();
      return generate(input, io);
    };
  },
  'a tool that nobody has': ({ model }) => {
    model.next(asks('nothing', { q: 1 }), says('Done.'));
  },
  'a tool that fails': ({ model, tool }) => {
    model.next(asks('look', { q: 1 }), says('Done.'));
    tool.run = () => Promise.reject(new Error('broken'));
  },
};

describe('a loss of power', () => {
  test.each(Object.keys(HOWEVER))('after a loop that ended by %s leaves all of it', async (how) => {
    const rig = await rigged();
    const stop = new AbortController();
    HOWEVER[how]!(rig, stop);
    const input = { messages: [{ role: 'user' as const, content: 'look' }] };
    const io = { signal: stop.signal };
    const { runtime } = rig;
    const result = await runGovernedAgentLoop({ runtime, caller: CALLER, io, executeTurnInput: input });
    const of = result.history[0]!.turn_output.session_id;
    const left = await rig.aside.left(of);
    const records = await rig.runtime.inspect(CALLER, 'session', of);
    expect(left).toEqual(types(records));
  });

  test('in the effect of a loop leaves its start, and after the loop all of it, in two flushes', async () => {
    const rig = await rigged();
    const before = rig.aside.flushes();
    let inEffect: string[] = [];
    rig.tool.run = async ({ context }) => {
      inEffect = await rig.aside.left(context.sessionId);
      return OK;
    };
    rig.model.next(asks('look', { q: 1 }), says('Done.'));
    expect(await loop(rig)).toMatchObject({ kind: 'completed', turn_count: 2 });
    const left = await rig.aside.left(rig.effects[0]!.context.sessionId);
    expect(inEffect).toEqual(ALL.slice(0, 4));
    expect([left, rig.aside.flushes() - before]).toEqual([ALL, 2]);
  });

  test('while a model outside is asked leaves what it is told', async () => {
    const rig = await rigged('openai_compatible');
    let asked: string[] = [];
    rig.tool.run = () => Promise.resolve(OK);
    rig.model.next(asks('look', { q: 1 }), says('Done.'));
    const { generate } = rig.model;
    rig.model.generate = async (input, io) => {
      const of = rig.effects[0]?.context.sessionId;
      if (of !== undefined) asked = await rig.aside.left(of);
      return generate(input, io);
    };
    expect(await loop(rig)).toMatchObject({ kind: 'completed' });
    expect(asked).toEqual(ALL.slice(0, 6));
  });

  test('after a loop that its bound ended leaves the last call', async () => {
    const rig = await rigged();
    rig.model.next(asks('look', { q: 1 }));
    expect(await loop(rig, 1)).toMatchObject({ kind: 'error', stage: 'loop_limit' });
    expect(await rig.aside.left(rig.effects[0]!.context.sessionId)).toEqual(ALL.slice(0, 5));
  });

  test('after an answer to anybody else leaves what was answered', async () => {
    const rig = await rigged();
    const of = await rig.ask('look', { q: 1 });
    expect(await rig.aside.left(of.session_id)).toEqual(ALL.slice(0, 3));
    await rig.run(of);
    expect(await rig.aside.left(of.session_id)).toEqual(ALL.slice(0, 5));
  });

  test('takes what a series was told, until it is settled', async () => {
    const rig = await rigged();
    const series = new Series();
    rig.model.next(asks('look', { q: 1 }));
    const input = { messages: [{ role: 'user' as const, content: 'look' }] };
    const asked = await rig.runtime.executeTurn(CALLER, input, { ...IO, series });
    if ('error' in asked) throw new Error(asked.error.message);
    const at = { session_id: asked.session_id, tool_call_id: asked.tool_call_id! };
    expect(await rig.aside.left(at.session_id)).toEqual([]);
    await rig.runtime.callTool(CALLER, at, { ...IO, series });
    expect(await rig.aside.left(at.session_id)).toEqual(ALL.slice(0, 4));
    await series.settled();
    expect(await rig.aside.left(at.session_id)).toEqual(ALL.slice(0, 5));
  });

  test('after a snapshot of a streamed turn leaves what it shows', async () => {
    const rig = await rigged();
    const lefts: Promise<string[]>[] = [];
    const snapshot = ({ state, data }: { state: string; data: Record<string, unknown> }): void => {
      const of = rig.effects[0]?.context.sessionId ?? data.session_id;
      lefts.push(rig.aside.left(of as string).then((left) => [state, ...left]));
    };
    const { generate } = rig.model;
    rig.model.generate = (input, io) => {
      if (rig.effects.length > 0) io.onText?.('Done.');
      return generate(input, io);
    };
    rig.model.next(asks('look', { q: 1 }), says('Done.'));
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'look' }], stream: true };
    const io = { ...IO, snapshot };
    await runGovernedAgentLoop({ runtime: rig.runtime, caller: CALLER, io, executeTurnInput });
    expect(await Promise.all(lefts)).toEqual([
      ['final', ...ALL.slice(0, 3)],
      ['partial', ...ALL.slice(0, 6)],
      ['final', ...ALL],
    ]);
  });

  test('in the effect of a managed run leaves its start, and after its answer the end', async () => {
    const rig = await rigged();
    const managed = [...ALL.slice(0, 1), 'session_admitted', 'invocation_started', ...ALL.slice(1)];
    let inEffect: string[] = [];
    const first = rig.aside.flushes();
    let before = 0;
    rig.tool.run = async ({ context }) => {
      inEffect = await rig.aside.left(context.sessionId);
      before = rig.aside.flushes();
      return OK;
    };
    rig.model.next(asks('look', { q: 1 }), says('Done.'));
    const execute_turn_input = { messages: [{ role: 'user' as const, content: 'look' }] };
    const answer = await rig.runtime.startSession(CALLER, { execute_turn_input }, IO);
    expect(answer).toMatchObject({ kind: 'completed' });
    const left = await rig.aside.left(rig.effects[0]!.context.sessionId);
    expect([inEffect, before - first]).toEqual([managed.slice(0, 6), 1]);
    expect([left, rig.aside.flushes() - before]).toEqual([[...managed, 'invocation_ended'], 1]);
  });

  test('of what an effect would build on keeps the effect from happening', async () => {
    const at = await place();
    mkdirSync(join(at.workspace, '.agent-runtime'));
    const path = join(at.workspace, '.agent-runtime', 'runtime.db');
    const keys = fileTenantKeys(join(at.state, 'keys'), randomIds);
    const options = { path, keys, clock: systemClock, ids: randomIds };
    const first = await openSqliteStore(options);
    const bad = append({ tenant: CALLER.tenant, aggregate: 'instance', id: 'bad' });
    for (let n = 0; n < 2; n++) await first.commit({ appends: [bad] });
    await first.close();
    const db = new Database(path);
    db.exec("UPDATE chains SET seq = 1 WHERE id = 'bad'"); // the engine refuses its next record, with all beside it
    db.close();
    const store = await openSqliteStore(options);
    onTestFinished(() => store.close());
    const bench = await open(at, { store });
    bench.model.next(asks('look', { q: 1 }));
    let refused: Promise<unknown> = Promise.resolve();
    const runtime = {
      callTool: bench.runtime.callTool.bind(bench.runtime),
      executeTurn: async (...given: Parameters<Bench['runtime']['executeTurn']>) => {
        const asked = await bench.runtime.executeTurn(...given);
        refused = store.commit({ appends: [bad] }).catch((error: unknown) => error);
        return asked;
      },
    };
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'look' }] };
    const result = await runGovernedAgentLoop({ runtime, caller: CALLER, io: IO, executeTurnInput });
    expect(result).toMatchObject({ kind: 'error', error: { code: 'STORE_CORRUPT' }, history: [] });
    expect([await refused, bench.effects]).toEqual([expect.objectContaining({ code: 'STORE_CORRUPT' }), []]);
  });

  test('after the answer to one who joined the call of a series leaves its outcome', async () => {
    const rig = await rigged();
    const series = new Series();
    const of = await rig.ask('look', { q: 1 });
    let joined: Promise<unknown> | undefined;
    let left: string[] = [];
    rig.tool.run = () => {
      joined = rig.run(of).then(async () => (left = await rig.aside.left(of.session_id)));
      return Promise.resolve(OK);
    };
    await rig.runtime.callTool(
      CALLER,
      { session_id: of.session_id, tool_call_id: of.tool_call_id },
      { ...IO, series },
    );
    await joined;
    expect(left).toEqual(ALL.slice(0, 5));
  });
});
