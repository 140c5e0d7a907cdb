// What a series was told and is undone: whoever else has heard of it, or goes on from it, is refused.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Series } from '../../src/base/series.ts';
import { randomIds } from '../../src/base/ids.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Store } from '../../src/store/contract.ts';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { CALLER, IO, OK, open, place } from './rig.ts';
import type { Bench } from './rig.ts';

interface Rig extends Bench {
  store: Store;
  /** From now on the engine refuses records of this type, at the end of their transaction. */
  refuse(type: string): void;
}

async function rigged(): Promise<Rig> {
  const at = await place();
  mkdirSync(join(at.workspace, '.agent-runtime'));
  const path = join(at.workspace, '.agent-runtime', 'runtime.db');
  const keys = fileTenantKeys(join(at.state, 'keys'), randomIds);
  const store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
  onTestFinished(() => store.close());
  return {
    ...(await open(at, { store })),
    store,
    refuse(type) {
      const db = new Database(path);
      db.exec(`CREATE TRIGGER refused BEFORE INSERT ON records WHEN NEW.type = '${type}'
               BEGIN SELECT RAISE(ABORT, 'refused'); END`);
      db.close();
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
