// Owns a workflow engine in this process, on its own SQLite file, whose nodes' sessions answer at once: what is left is the
// engine's own work.
import { join } from 'node:path';
import { systemClock } from '../../dist/base/clock.js';
import { randomIds } from '../../dist/base/ids.js';
import { createHolds } from '../../dist/pack/managed/hold.js';
import { createWorkflows } from '../../dist/pack/workflows/workflows.js';
import { fileTenantKeys } from '../../dist/store/sealing.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { makePlace } from './place.mjs';

const SAID = { kind: 'completed', final_turn: { status: 'reply', assistant_message: 'It is done.' } };

/** Sessions of nodes that say one thing, and how many were run. */
function readySessions() {
  let ran = 0;
  return {
    ran: () => ran,
    create: async (_caller, { sessionId }) => ({ session_id: sessionId, run_id: 'run_bench' }),
    result: async () => undefined,
    cancel: async () => ({ status: 'canceled' }),
    async run() {
      ran++;
      return SAID;
    },
  };
}

/** `clock` may be one that the figure moves. */
export async function openEngine({ clock = systemClock } = {}) {
  const place = makePlace();
  const keys = fileTenantKeys(join(place.state, 'keys'));
  const path = join(place.workspace, 'engine.db');
  const store = await openSqliteStore({ path, keys, clock, ids: randomIds });
  const sessions = readySessions();
  const isAlive = async () => true;
  const deps = { store, clock, ids: randomIds, instance: 'inst_bench', agentId: 'bench', isAlive };
  const redact = (value) => ({ value, fields: [] });
  const workflows = createWorkflows({ ...deps, sessions, holds: createHolds(deps), redact });
  return {
    place,
    store,
    workflows,
    ran: sessions.ran,
    async close() {
      await store.close();
      place.dispose();
    },
  };
}
