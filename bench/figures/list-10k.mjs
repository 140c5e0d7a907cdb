// The 50 newest sessions of one status among ten thousand, against the bare indexed select.
import { join } from 'node:path';
import { systemClock } from '../../dist/base/clock.js';
import { randomIds } from '../../dist/base/ids.js';
import { fileTenantKeys } from '../../dist/store/sealing.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { openList } from '../floor/list.mjs';
import { figure, interleave, median, timeEach } from '../lib/measure.mjs';
import { makePlace } from '../lib/place.mjs';

const STATUSES = ['open', 'closed', 'escalated', 'canceled'];
const LIMIT = 50;

function sessionRow(at) {
  return {
    kind: 'session',
    tenant: 'local',
    id: `ses_${String(at).padStart(26, '0')}`,
    principal: 'os:bench',
    status: STATUSES[at % STATUSES.length],
    updatedAt: 1_800_000_000_000 + at,
    body: {
      agent_id: 'bench',
      lane: 'default',
      task: 'agent-session',
      intent: 'triage',
      turn_count: at % 12,
      last_status: 'reply',
      run_id: `run_${at}`,
      trace_id: 'a'.repeat(32),
      started_at: 1_800_000_000_000 + at,
    },
  };
}

export async function run({ rounds = 25, warmup = 5, lists = 60, sessions = 10_000 } = {}) {
  const place = makePlace();
  const store = await openSqliteStore({
    path: join(place.workspace, 'list.db'),
    keys: fileTenantKeys(join(place.state, 'keys')),
    clock: systemClock,
    ids: randomIds,
  });
  const bare = openList(join(place.root, 'floor.db'));
  try {
    const rows = Array.from({ length: sessions }, (_, at) => sessionRow(at));
    for (let at = 0; at < rows.length; at += 500) {
      await store.commit({ rows: rows.slice(at, at + 500).map((row) => ({ row })) });
    }
    bare.fill(rows);
    const query = { kind: 'session', tenant: 'local', status: 'open', limit: LIMIT };
    const { items } = await store.list(query);
    const floorIds = bare.newest('open', LIMIT).map(({ id }) => id);
    if (items.length === 0 || items.map(({ id }) => id).join() !== floorIds.join()) {
      throw new Error('the two lists are not the same');
    }
    const p50 = async (work) => median(await timeEach(lists, work));
    const times = await interleave(rounds, warmup, {
      ours: () => p50(() => store.list(query)),
      bare: () => p50(async () => bare.newest('open', LIMIT)),
    });
    return [figure('list-10k', 'ms', times.ours, times.bare)];
  } finally {
    bare.close();
    await store.close();
    place.dispose();
  }
}
