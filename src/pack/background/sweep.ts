// Owns the look for runs that nobody carries on: recorded as running, while their process has gone. Runs of the queue come
// again by their timers; the others are suspended, so that whoever lists them sees that they wait to be resumed.
import type { Clock } from '../../base/clock.ts';
import { asRuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { Store, StoredRow } from '../../store/contract.ts';
import type { BackgroundKind } from './entry.ts';
import type { Queue } from './queue.ts';

export interface SweepDeps {
  store: Store;
  clock: Clock;
  queue: Queue;
  tenants: () => readonly string[];
  /** Suspends a session or workflow whose process has gone; false when it is not so. */
  recover(run: { tenant: string; principal: string; id: string; kind: BackgroundKind }): Promise<boolean>;
  log?: (level: 'info' | 'warn', message: string, facts: Record<string, unknown>) => void;
}

export interface Sweep {
  /** Looks once; resolves to the ids of what was suspended. */
  look(): Promise<string[]>;
  stop(): Promise<void>;
}

const EVERY_MS = 60_000;
const PAGE = 200;

async function* underWay({ store }: SweepDeps, tenant: string): AsyncGenerator<StoredRow> {
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await store.list({ kind: 'session', tenant, status: 'active', limit: PAGE, ...from });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

function kindOf({ body }: StoredRow): BackgroundKind {
  return body.kind === 'workflow' ? 'workflow' : 'session';
}

/** Work of its own: neither the session of a node, which its workflow carries on, nor one that the queue gives out again. */
async function isOnItsOwn({ queue }: SweepDeps, row: StoredRow): Promise<boolean> {
  const isManaged = row.body.managed === true || kindOf(row) === 'workflow';
  if (!isManaged || isObject(row.body.parent)) return false;
  const entry = await queue.find(row.tenant, row.id);
  return entry === undefined || entry.state.at === 'ended';
}

async function sweepTenant(deps: SweepDeps, tenant: string): Promise<string[]> {
  const found: string[] = [];
  for await (const row of underWay(deps, tenant)) {
    const { id, principal } = row;
    try {
      const isLeft =
        (await isOnItsOwn(deps, row)) && (await deps.recover({ tenant, principal, id, kind: kindOf(row) }));
      if (!isLeft) continue;
    } catch (thrown) {
      // It is looked at again in the next round, and the others in this one.
      const { code, message } = asRuntimeError(thrown);
      deps.log?.('warn', 'a run under way could not be looked at', { session_id: id, code, message });
      continue;
    }
    found.push(id);
    deps.log?.('warn', 'a run whose process has gone was suspended; resume it', { session_id: id });
  }
  return found;
}

/** Looks now and then every minute until it is stopped. */
export function startSweep(deps: SweepDeps): Sweep {
  const { clock, tenants, log } = deps;
  let cancel = (): void => undefined;
  let isOver = false;
  const look = async (): Promise<string[]> => {
    const found = await Promise.all(tenants().map((tenant) => sweepTenant(deps, tenant)));
    return found.flat();
  };
  let looking: Promise<void>;
  const round = async (): Promise<void> => {
    try {
      await look();
    } catch (thrown) {
      const { code, message } = asRuntimeError(thrown);
      log?.('warn', 'the runs under way could not be read', { code, message });
    }
    if (!isOver) cancel = clock.after(EVERY_MS, next);
  };
  const next = (): void => {
    looking = round();
  };
  looking = round();
  return {
    look,
    async stop() {
      isOver = true;
      cancel();
      await looking;
    },
  };
}
