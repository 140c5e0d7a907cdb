// Owns the checks of work that is under way or should be: what is stuck, what ran out of time, what nobody holds any more,
// and what waits for a process to take it.
import type { EpochMs } from '../base/clock.ts';
import type { CapabilitySession } from '../capabilities/sessions/capability-session.ts';
import type { Caller } from '../kernel/identity.ts';
import { entryFromJson } from '../pack/background/entry.ts';
import { isObject } from '../base/json.ts';
import { REASONS } from '../pack/managed/next-step.ts';
import type { StoredRow } from '../store/contract.ts';
import { offeredToken } from './capability-session-view.ts';
import { counted, DAY_MS, minutes, named, newestWith, ofThose, ok, oldestWith } from './health-check.ts';
import type { Check, HealthDeps, Looked } from './health-check.ts';
import { ownRows } from './visible.ts';

/** Under way for so long without a record, a run is stuck: longer than any one call may take by default. */
const STALLED_MS = 30 * 60_000;
/** A run that waits longer in the queue, or a time that has come and is not seen to, has nobody who takes it. */
const LATE_MS = 60_000;
const LOST_MS = 10 * 60_000;

type Seen = readonly [rows: readonly StoredRow[], words: string, action: string];

/** A warning for each that has rows, else that all is well. */
function judged(check: string, seen: readonly Seen[], well: string, ...looked: readonly Looked[]): Check[] {
  const found = seen.flatMap(([rows, words, action]): Check[] => {
    if (rows.length === 0) return [];
    const detail = `${counted(rows)} ${words}: ${named(rows.map(({ id }) => id))}`;
    return [{ check, status: 'warn', detail: ofThose(detail, ...looked), action }];
  });
  return found.length > 0 ? found : [ok(check, ofThose(well, ...looked))];
}

function queuedRuns({ store }: HealthDeps, caller: Caller): Promise<StoredRow[]> {
  return oldestWith(store, { kind: 'queue', ...ownRows(caller), status: 'queued' });
}

/** When its time has passed, recorded as such or not. */
function endOf({ body }: StoredRow): EpochMs {
  return typeof body.expires_at === 'string' ? Date.parse(body.expires_at) : Number.POSITIVE_INFINITY;
}

/** The row of a workflow changes with its own steps only: it is under way while the session of a node is. */
function isWorkedOn({ id, body }: StoredRow, active: readonly StoredRow[]): boolean {
  if (body.kind !== 'workflow') return false;
  return active.some(({ body: { parent } }) => isObject(parent) && parent.workflow_id === id);
}

const MOVING = ['active', 'ready', 'compensating'];

/** A workflow that waits for one branch, or in which one has failed, while another would go on by itself. */
function isMovingToo({ body }: StoredRow): boolean {
  const nodes = body.nodes_by_status;
  if (body.kind !== 'workflow' || !isObject(nodes) || body.reason === REASONS.interrupted) return false;
  return MOVING.some((status) => nodes[status] !== undefined);
}

const SHOW = '`agent-runtime sessions show ID` tells how far each came';

/** Runs that are stuck, that were left by their process, and that ran out of time. */
export async function sessions(deps: HealthDeps, caller: Caller): Promise<Check[]> {
  const { store } = deps;
  const now = deps.clock.now();
  const own = { kind: 'session', ...ownRows(caller) } as const;
  const [expired, queued, active, suspended, waiting, failed] = await Promise.all([
    newestWith(store, { ...own, status: 'expired' }),
    queuedRuns(deps, caller),
    oldestWith(store, { ...own, status: 'active' }),
    // A run that replied, or failed, rests there for good, so that what was left last is not among the oldest.
    newestWith(store, { ...own, status: 'suspended' }),
    oldestWith(store, { ...own, status: 'waiting_approval' }),
    newestWith(store, { ...own, status: 'error' }),
  ]);
  const late = [...active, ...suspended, ...waiting].filter(
    (row) => endOf(row) <= now && endOf(row) > now - DAY_MS,
  );
  const ended = expired.filter((row) => row.updatedAt > now - DAY_MS);
  const waits = new Set(queued.map(({ id }) => id));
  const movingToo = [...suspended, ...waiting, ...failed].filter(isMovingToo);
  const stalled = [...active, ...movingToo].filter(
    (row) =>
      endOf(row) > now && row.updatedAt <= now - STALLED_MS && !waits.has(row.id) && !isWorkedOn(row, active),
  );
  const left = suspended.filter((row) => endOf(row) > now && row.body.reason === REASONS.interrupted);
  const seen: Seen[] = [
    [stalled, `under way without a record for ${minutes(STALLED_MS)} min`, `${SHOW}; resume or cancel it.`],
    [left, 'left by a process that is gone', `${SHOW}; \`agent-runtime sessions resume ID\` goes on there.`],
    [[...late, ...ended], 'ran out of time', `${SHOW}; what is still wanted is started anew.`],
  ];
  const looked: Looked[] = [
    ['oldest', active],
    ['newest', suspended],
    ['newest', failed],
    ['oldest', waiting],
  ];
  return judged('sessions', seen, 'no run is stuck, left behind or out of time', ...looked);
}

/** Calls that did not run because their connection was lost, and that wait to be asked for again. */
export async function connections({ store, clock }: HealthDeps, caller: Caller): Promise<Check[]> {
  const own = { kind: 'capability_session', ...ownRows(caller) } as const;
  const now = clock.now();
  const looked = await Promise.all([
    newestWith(store, { ...own, status: 'resumable' }),
    newestWith(store, { ...own, status: 'reinitialize_required' }),
  ]);
  const offered = looked
    .flat()
    .filter(({ body }) => offeredToken(body as unknown as CapabilitySession, now) !== undefined);
  const seen: Seen[] = [
    [
      offered,
      'lost with a call that did not run',
      'Repeat the call with its resume_token; `agent-runtime capability-sessions show ID` names it under must_retry.',
    ],
  ];
  const each = looked.map((rows): Looked => ['newest', rows]);
  return judged('connections', seen, 'no call waits for a lost connection', ...each);
}

/** How many background runs wait, and since when. */
export async function queue(deps: HealthDeps, caller: Caller): Promise<Check[]> {
  const { config, clock } = deps;
  const queued = await queuedRuns(deps, caller);
  const { maxQueued } = config.runtime.background;
  if (queued.length === 0) return [ok('queue', `nothing waits (room for ${maxQueued})`)];
  const waited = clock.now() - Math.min(...queued.map((row) => row.updatedAt));
  const detail = ofThose(`${counted(queued)} of ${maxQueued} queued, the oldest for ${minutes(waited)} min`, [
    'oldest',
    queued,
  ]);
  if (waited < LATE_MS && queued.length < maxQueued) return [ok('queue', detail)];
  const action = 'Start `agent-runtime worker`, or raise background.max_running in runtime.yaml.';
  return [{ check: 'queue', status: queued.length < maxQueued ? 'warn' : 'fail', detail, action }];
}

/** Who holds a call or a background run, since when, and whether that process still lives. */
export async function locks(
  { store, clock, isAlive }: HealthDeps,
  caller: Caller,
  callsUnderWay: () => Promise<StoredRow[]>,
): Promise<Check[]> {
  const [calls, runs] = await Promise.all([
    callsUnderWay(),
    oldestWith(store, { kind: 'queue', ...ownRows(caller), status: 'in_progress' }),
  ]);
  const held = [
    ...calls.map((row) => ({ row, by: row.body.instance as string })),
    ...runs.flatMap((row) => {
      const { state } = entryFromJson(row, row.body);
      return state.at === 'running' ? [{ row, by: state.instance }] : [];
    }),
  ];
  if (held.length === 0) return [ok('locks', 'no process holds a call or a run')];
  const gone: StoredRow[] = [];
  for (const { row, by } of held) if (!(await isAlive(by))) gone.push(row);
  const oldest = minutes(clock.now() - Math.min(...held.map(({ row }) => row.updatedAt)));
  const words = `held by a process that is gone (the oldest of ${held.length} for ${oldest} min)`;
  const action =
    'A worker takes such a run again by itself; a call is settled as unknown when it is repeated with its id.';
  const well = `${held.length} held, the oldest for ${oldest} min`;
  return judged('locks', [[gone, words, action]], well, ['oldest', calls], ['oldest', runs]);
}

/** What should have been seen to by now: wake times, ends of waits, runs of the queue. */
export async function scheduler({ config, store, clock }: HealthDeps, { tenant }: Caller): Promise<Check[]> {
  const now = clock.now();
  const due = await store.oldestDue(tenant, now, config.agent.id);
  if (due === undefined || now - due < LATE_MS) return [ok('scheduler', 'nothing that is due is left lying')];
  return [
    {
      check: 'scheduler',
      status: now - due < LOST_MS ? 'warn' : 'fail',
      detail: `something has been due for ${minutes(now - due)} min, and no process takes it`,
      action:
        'Start `agent-runtime worker` or `agent-runtime serve`: only they see to what is due by themselves. Without them, ' +
        '`agent-runtime sessions list --status scheduled` or `waiting_approval` names it, and a resume takes each on.',
    },
  ];
}
