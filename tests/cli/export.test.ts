import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createContext } from '../../src/cli/context.ts';
import { exportStory } from '../../src/cli/export.ts';
import { createPrinter } from '../../src/cli/print.ts';
import type { Store } from '../../src/store/contract.ts';
import { SESSION } from '../kernel/rig.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { journal, place } from './harness.ts';

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
