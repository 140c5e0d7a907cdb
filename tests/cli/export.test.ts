import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createContext } from '../../src/cli/context.ts';
import { exportStory } from '../../src/cli/export.ts';
import { createPrinter } from '../../src/cli/print.ts';
import type { Store } from '../../src/store/contract.ts';
import { osPrincipal } from '../../src/cli/identity.ts';
import { CALLER, contextOf, SESSION } from '../kernel/rig.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { journal, json, place, run } from './harness.ts';

test('an export whose file cannot be written while records are read fails, and the process goes on', async () => {
  const at = await place();
  const { store } = await journal(at);
  const exports = join(at.workspace, 'exports');
  await mkdir(exports);
  const failing: Store = Object.create(store, {
    list: {
      async value(query: Parameters<Store['list']>[0]) {
        for (const name of await readdir(exports)) await rm(join(exports, name), { recursive: true });
        return store.list(query);
      },
    },
    read: {
      async value(...query: Parameters<Store['read']>) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return store.read(...query);
      },
    },
  }) as Store;
  const none = { write: () => Promise.resolve(), writeError: () => undefined };
  const printer = createPrinter({ json: false, color: false, ...none });
  const context = createContext({ workspace: at.workspace }, { AGENT_RUNTIME_STATE: at.state }, printer);
  const story = { kind: 'session', id: SESSION } as const;
  const exported = exportStory(
    context,
    { store: failing, config: sampleConfig() },
    story,
    join(exports, 'out'),
  );
  await expect(exported).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(exports)).toEqual([]);
});

test('the run of a call that belongs to no turn is exported like any other', async () => {
  const at = await place();
  const { store, call } = await journal(at);
  const caller = { ...CALLER, principal: osPrincipal() };
  await call('look', { q: 2 }, { context: contextOf({ caller, runId: 'run_direct' }) });
  const refused = { tenant: 'local', id: 'run_refused', principal: osPrincipal(), status: 'failed' };
  await store.commit({
    rows: [{ row: { ...refused, kind: 'run', updatedAt: 0, body: { code: 'NOT_FOUND' } }, when: 'absent' }],
  });
  expect(await store.row('run', 'local', 'run_direct')).toBeUndefined();
  await store.close();
  const shown = await json(at, ['runs', 'show', 'run_direct']);
  expect(shown.links).toMatchObject({ session_id: SESSION });
  const out = join(at.workspace, 'out');
  const told = await json(at, ['evidence', 'export', '--run', 'run_direct', '--out', out]);
  expect(told).toMatchObject({ run_id: 'run_direct', session_id: SESSION, tenant_id: 'local' });
  const unknown = await run(at, ['evidence', 'export', '--run', 'run_other', '--out', `${out}2`]);
  expect(unknown.err).toContain('error NOT_FOUND: No such run: run_other');
  const bare = await run(at, ['evidence', 'export', '--run', 'run_refused', '--out', `${out}3`]);
  expect(bare.err).toContain('error NOT_FOUND: The run run_refused was refused before there was a session');
});
