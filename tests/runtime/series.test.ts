// What a series was told and is undone: whoever else has heard of it, or goes on from it, is refused.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'libsql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Series } from '../../src/base/series.ts';
import { randomIds } from '../../src/base/ids.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Store } from '../../src/store/contract.ts';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { look, note, pay } from '../kernel/sample-config.ts';
import { PROFILE } from '../pack/rig.ts';
import { asks, CALLER, configFor, IO, OK, open, place } from './rig.ts';
import type { Bench } from './rig.ts';

interface Rig extends Bench {
  store: Store;
  /** From now on the engine refuses records of this type, at the end of their transaction. */
  refuse(type: string): void;
  /** It takes them again, and the process gives its next sign of life. */
  repair(): Promise<void>;
}

async function rigged(): Promise<Rig> {
  const at = await place();
  mkdirSync(join(at.workspace, '.agent-runtime'));
  const path = join(at.workspace, '.agent-runtime', 'runtime.db');
  const keys = fileTenantKeys(join(at.state, 'keys'), randomIds);
  const store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
  onTestFinished(() => store.close());
  const models = { default: 'demo', profiles: { demo: { ...PROFILE, provider: 'scripted' as const } } };
  const capabilities = {
    look: { ...look, inputSchema: { type: 'object', required: ['q'] } },
    pay,
    note,
  };
  // As a path or a schema that is looked at does, deciding takes turns of the event loop.
  const counters: Store['counters'] = async (keys) => {
    for (let turns = 0; turns < 4; turns++) await nextTurn();
    return store.counters(keys);
  };
  const bench = await open(at, {
    store: { ...store, counters },
    config: configFor(at, { models, capabilities }),
  });
  const execute = (sql: string): void => {
    const db = new Database(path);
    db.exec(sql);
    db.close();
  };
  return {
    ...bench,
    store,
    async repair() {
      // After what was undone has been tried once more.
      await store.commit({ counters: [{ key: `${CALLER.tenant}|after`, add: 1 }] });
      execute('DROP TRIGGER refused');
      bench.clock.advance(10_000);
    },
    refuse(type) {
      execute(`CREATE TRIGGER refused BEFORE INSERT ON records WHEN NEW.type = '${type}'
               BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    },
  };
}

const codeOf = (answer: Promise<{ status: string }>): Promise<string> =>
  answer.then(
    ({ status }) => status,
    (error: unknown) => (error as { code: string }).code,
  );

describe('a series that was told an outcome that cannot be recorded', () => {
  test('is the only one that hears of it', async () => {
    const rig = await rigged();
    const series = new Series();
    const of = await rig.ask('look', { q: 1 });
    const joined: Promise<string>[] = [];
    rig.tool.run = () => {
      joined.push(codeOf(rig.run(of)), codeOf(rig.run(of)));
      rig.refuse('call_finished');
      return Promise.resolve(OK);
    };
    const { session_id, tool_call_id } = of;
    const told = rig.runtime.callTool(CALLER, { session_id, tool_call_id }, { ...IO, series });
    expect(await codeOf(told)).toBe('done');
    expect(await Promise.all(joined)).toEqual(['STORE_CORRUPT', 'STORE_CORRUPT']);
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });
});

describe('the outcome of a call that a series was told and that cannot be recorded', () => {
  async function undone(tool: 'look' | 'note'): Promise<{ rig: Rig; series: Series; id: string }> {
    const rig = await rigged();
    const series = new Series();
    const { session_id, tool_call_id } = await rig.ask(tool, { q: 1 });
    rig.tool.run = () => {
      rig.refuse('call_finished');
      return Promise.resolve(OK);
    };
    const told = rig.runtime.callTool(CALLER, { session_id, tool_call_id }, { ...IO, series });
    expect(await codeOf(told)).toBe('done');
    return { rig, series, id: tool_call_id };
  }

  const statusOf = (rig: Rig, id: string) => async (): Promise<string | undefined> =>
    (await rig.store.row('request', CALLER.tenant, id))?.status;

  test('is unknown where it was a write, and settled so while the process lives', async () => {
    const { rig, series, id } = await undone('note');
    const error = { code: 'SIDE_EFFECT_UNKNOWN', retryable: false, details: { tool_call_id: id } };
    await expect(series.settled()).rejects.toMatchObject(error);
    await rig.repair();
    await expect.poll(statusOf(rig, id)).toBe('unknown');
  });

  test('is recorded as it was where it was a read', async () => {
    const { rig, series, id } = await undone('look');
    await expect(series.settled()).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    await rig.repair();
    await expect.poll(statusOf(rig, id)).toBe('done');
  });

  test('is unknown to whoever has the runtime drive the session', async () => {
    const rig = await rigged();
    rig.model.next(asks('note', { n: 1 }));
    rig.tool.run = () => {
      rig.refuse('call_finished');
      return Promise.resolve(OK);
    };
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
    const run = rig.runtime.managed.start(CALLER, { executeTurnInput }, {}, IO);
    await expect(run).rejects.toMatchObject({ code: 'SIDE_EFFECT_UNKNOWN' });
  });
});

describe('a call of a turn that a series was told and that cannot be recorded', () => {
  /** Types of the records of the session, after the call was answered with that. */
  async function called(rig: Rig, tool: string, args: object): Promise<{ code: string; left: string[] }> {
    const series = new Series();
    rig.refuse('turn_completed');
    rig.model.next(asks(tool, args));
    const input = { messages: [{ role: 'user' as const, content: 'please' }] };
    const asked = await rig.runtime.executeTurn(CALLER, input, { ...IO, series });
    if ('error' in asked) throw new Error(asked.error.message);
    const at = { session_id: asked.session_id, tool_call_id: asked.tool_call_id! };
    const code = await codeOf(rig.runtime.callTool(CALLER, at, { ...IO, series }));
    const chain = { tenant: CALLER.tenant, aggregate: 'session' as const, id: asked.session_id };
    return { code, left: (await rig.store.read(chain)).map(({ header }) => header.type) };
  }

  test('is not denied on record', async () => {
    const rig = await rigged();
    const { code, left } = await called(rig, 'look', {});
    expect([code, left]).toEqual(['STORE_CORRUPT', ['session_started', 'turn_started']]);
  });

  test('is put to nobody', async () => {
    const rig = await rigged();
    const { code, left } = await called(rig, 'pay', {});
    expect([code, left]).toEqual(['STORE_CORRUPT', ['session_started', 'turn_started']]);
    expect(await rig.store.list({ kind: 'approval', tenant: CALLER.tenant, limit: 10 })).toEqual({
      items: [],
    });
  });

  test('keeps an approval that was asked for before from being put again', async () => {
    const rig = await rigged();
    const of = await rig.ask('pay', { n: 1 });
    expect((await rig.run(of)).status).toBe('approval_required');
    const series = new Series();
    rig.refuse('turn_completed');
    rig.model.next(asks('look', {}));
    const { session_id, tool_call_id } = of;
    await rig.runtime.executeTurn(CALLER, { session_id, messages: [] }, { ...IO, series });
    const again = rig.runtime.callTool(CALLER, { session_id, tool_call_id }, { ...IO, series });
    expect(await codeOf(again)).toBe('STORE_CORRUPT');
    expect((await rig.run(of)).status).toBe('approval_required'); // nobody else's question
  });
});

test('a turn of a series whose session is undone meanwhile leaves no record on a chain that has no birth', async () => {
  const rig = await rigged();
  const series = new Series();
  rig.refuse('turn_started');
  const messages = [{ role: 'user' as const, content: 'please' }];
  const { session_id = '' } = await rig.runtime.executeTurn(CALLER, { messages }, { ...IO, series });
  const { store } = rig.runtime;
  const { counter } = store;
  store.counter = async (key) => {
    await series.settled().catch(() => undefined);
    return counter(key);
  };
  const next = await rig.runtime.executeTurn(CALLER, { session_id, messages }, { ...IO, series });
  expect(next).toMatchObject({ error: { code: 'STORE_CORRUPT' } });
  const chain = { tenant: CALLER.tenant, aggregate: 'session' as const, id: session_id };
  expect((await rig.store.read(chain)).map(({ header }) => header.type)).toEqual([]);
});
