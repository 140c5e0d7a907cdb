// Owns health: each check looks at one thing, says what it saw, and what to do. Failing checks come first.
import { variablesOf } from '../config/profile-env.ts';
import type { ApprovalSubject } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';
import type { StoredRow } from '../store/contract.ts';
import { effectiveStatus } from './effective.ts';
import {
  counted,
  DAY_MS,
  minutes,
  named,
  newestWith,
  ofThose,
  ok,
  oldestWith,
  once,
} from './health-check.ts';
import type { Check, HealthDeps } from './health-check.ts';
import { connections, locks, queue, scheduler, sessions } from './health-work.ts';
import { inventoryCheck } from './inventory.ts';
import { ownRows } from './visible.ts';

async function storage({ store }: HealthDeps): Promise<Check[]> {
  const report = await store.report();
  const checks: Check[] = report.writable
    ? [ok('storage', `${report.engine}, schema ${report.schemaVersion}, writable`)]
    : [
        {
          check: 'storage',
          status: 'fail',
          detail: `${report.engine} cannot be written; nothing may happen`,
          action: 'Free disk space or repair the permissions of .agent-runtime/.',
        },
      ];
  checks.push(
    report.damage.length === 0
      ? ok('evidence', 'no damage seen by reads of this process')
      : {
          check: 'evidence',
          status: 'fail',
          detail: `${report.damage.length} damaged item(s): ${report.damage[0]?.what ?? ''}`,
          action: 'Run `agent-runtime evidence verify`; only the chains that it names are affected.',
        },
  );
  return checks;
}

async function configuration({ drift }: HealthDeps): Promise<Check[]> {
  switch (await drift()) {
    case 'same':
      return [ok('configuration', 'what runs is what is on disk')];
    case 'changed':
      return [
        {
          check: 'configuration',
          status: 'warn',
          detail: 'the files on disk differ from what runs',
          action: 'Run `agent-runtime config reload`, or restart.',
        },
      ];
    case 'unreadable':
      return [
        {
          check: 'configuration',
          status: 'warn',
          detail: 'the files on disk can no longer be loaded; the old configuration goes on',
          action: 'Run `agent-runtime config check` and correct what it names.',
        },
      ];
  }
}

function subjectOf(row: StoredRow): ApprovalSubject {
  return (row.body as unknown as { subject: ApprovalSubject }).subject;
}

/** Approvals that ran out within the last day, recorded as such or not. */
async function ranOut({ store, clock }: HealthDeps, caller: Caller, overdue: StoredRow[]): Promise<number> {
  const since = clock.now() - DAY_MS;
  const recorded = await newestWith(store, { kind: 'approval', ...ownRows(caller), status: 'expired' });
  return (
    recorded.filter((row) => row.updatedAt > since).length +
    overdue.filter((row) => subjectOf(row).answerBy > since).length
  );
}

const LATE =
  'Nobody answered in time, so nothing of it ran. Have somebody look more often, or raise max_wait_seconds in runtime-controls.yaml.';

async function approvals(deps: HealthDeps, caller: Caller): Promise<Check[]> {
  const { config, store, clock } = deps;
  const now = clock.now();
  const stored = await oldestWith(store, { kind: 'approval', ...ownRows(caller), status: 'pending' });
  const pending = stored.filter((row) => effectiveStatus(row, now) === 'pending');
  const out = await ranOut(
    deps,
    caller,
    stored.filter((row) => !pending.includes(row)),
  );
  const lost = out === 0 ? '' : `; ${out} ran out in the last day`;
  if (pending.length === 0) {
    const detail = `nothing waits for a person${lost}`;
    return [
      out === 0 ? ok('approvals', detail) : { check: 'approvals', status: 'warn', detail, action: LATE },
    ];
  }
  const oldest = Math.min(...pending.map((row) => subjectOf(row).requestedAt));
  const waited = minutes(now - oldest);
  const limit = config.approvals.escalationSlaMinutes;
  return [
    {
      check: 'approvals',
      // The longest wait may end before the limit: what ran out has waited as long as anything can.
      status: waited >= limit || out > 0 ? 'fail' : 'warn',
      detail: ofThose(`${counted(pending)} pending, the oldest for ${waited} min (limit ${limit})${lost}`, [
        'oldest',
        stored,
      ]),
      action:
        'Run `agent-runtime approvals list --status pending`, then `agent-runtime approvals resolve ID`.',
    },
  ];
}

/** Sessions that their model handed over to a person. */
async function escalations({ store }: HealthDeps, caller: Caller): Promise<Check[]> {
  const open = await oldestWith(store, { kind: 'item', ...ownRows(caller), status: 'open' });
  if (open.length === 0) return [ok('escalations', 'no session was handed over to a person')];
  const some = named(open.map(({ ref }) => ref ?? ''));
  return [
    {
      check: 'escalations',
      status: 'warn',
      detail: `${counted(open)} handed over to a person: ${some}`,
      action:
        'Read each with `agent-runtime sessions show ID`; a message to the session takes it on, a cancel ends it.',
    },
  ];
}

/** One that is down takes no other with it; it is tried again by itself. */
async function servers({ config, failureOf }: HealthDeps): Promise<Check[]> {
  if (failureOf === undefined) return [];
  return Object.keys(config.servers).flatMap((name): Check[] => {
    const failure = failureOf(name);
    if (failure === undefined) return [];
    return [
      {
        check: 'servers',
        status: 'warn',
        detail: `${name} is down: ${failure}`,
        action: `Repair what the reason names. Its next call starts it again; \`agent-runtime capabilities show TOOL\` says how it stands.`,
      },
    ];
  });
}

async function effects(
  { store, isAlive }: HealthDeps,
  caller: Caller,
  callsUnderWay: () => Promise<StoredRow[]>,
): Promise<Check[]> {
  const unknown = await newestWith(store, { kind: 'request', ...ownRows(caller), status: 'unknown' });
  const calls = await callsUnderWay();
  /** Their process is gone: nobody will ever finish them. */
  const left: StoredRow[] = [];
  for (const row of calls) if (!(await isAlive(row.body.instance as string))) left.push(row);
  const checks: Check[] = [];
  if (left.length > 0) {
    checks.push({
      check: 'effects',
      status: 'warn',
      detail: ofThose(
        `${counted(left)} call(s) left in progress by a process that is gone, the oldest ${left[0]?.id ?? ''}`,
        ['oldest', calls],
      ),
      action:
        'Look at the downstream system: each may have taken effect. Repeating the call with the same id records it as ' +
        'unknown and runs nothing; `agent-runtime requests list --status in_progress` lists them.',
    });
  }
  if (unknown.length > 0) {
    checks.push({
      check: 'effects',
      status: 'warn',
      detail: `${counted(unknown)} call(s) whose effect is unknown, the newest ${unknown[0]?.id ?? ''}`,
      action: 'Look at the downstream system; `agent-runtime requests show ID` has the details.',
    });
  }
  return checks.length > 0
    ? checks
    : [ok('effects', ofThose('no call with an unknown outcome', ['oldest', calls]))];
}

/** What needs no journal. */
type Prepared = Pick<HealthDeps, 'config' | 'directory' | 'hasEnv'>;

function pins({ config, directory }: Prepared): Check[] {
  const bad = Object.keys(config.capabilities).flatMap((id) => {
    const pin = directory.definition(id)?.pin ?? { state: 'unpinned' as const };
    return pin.state === 'pinned' || pin.state === 'declared' ? [] : [`${id} (${pin.state})`];
  });
  return bad.length === 0
    ? [ok('tools', 'every capability is pinned')]
    : [
        {
          check: 'tools',
          status: 'warn',
          detail: `denied until pinned: ${bad.join(', ')}`,
          action: 'Read the difference, then run `agent-runtime capabilities pin`.',
        },
      ];
}

function credentials({ config, hasEnv }: Prepared): Check[] {
  const missing = Object.values(config.models.profiles).flatMap((profile) =>
    variablesOf(profile)
      .filter((name) => !hasEnv(name))
      .map((name) => `${name} (${profile.name})`),
  );
  return missing.length === 0
    ? [ok('models', 'every model profile has its variables')]
    : [
        {
          check: 'models',
          status: 'warn',
          detail: `not set: ${missing.join(', ')}`,
          action: 'Set the variable; turns with that profile answer MISSING_ENVIRONMENT until then.',
        },
      ];
}

/** The checks of a workspace in which nothing has happened yet. */
export function beforeFirstUse(prepared: Prepared): Check[] {
  const { config, directory } = prepared;
  return [...pins(prepared), inventoryCheck(config, directory), ...credentials(prepared)];
}

/** Each process is asked after once. */
function askedOnce(isAlive: HealthDeps['isAlive']): HealthDeps['isAlive'] {
  const answers = new Map<string, Promise<boolean>>();
  return (instance) => {
    const answer = answers.get(instance) ?? isAlive(instance);
    answers.set(instance, answer);
    return answer;
  };
}

const RANK = { fail: 0, warn: 1, ok: 2 };

/** Every check, failing first. A check that itself fails is a failing check. */
export async function health(
  given: HealthDeps,
  caller: Caller,
): Promise<{ status: 'fail' | 'warn' | 'ok'; checks: Check[] }> {
  const deps = { ...given, isAlive: askedOnce(given.isAlive) };
  const callsUnderWay = once(() =>
    oldestWith(deps.store, { kind: 'request', ...ownRows(caller), status: 'in_progress' }),
  );
  const named: [string, () => Promise<Check[]> | Check[]][] = [
    ['storage', () => storage(deps)],
    ['configuration', () => configuration(deps)],
    ['approvals', () => approvals(deps, caller)],
    ['escalations', () => escalations(deps, caller)],
    ['effects', () => effects(deps, caller, callsUnderWay)],
    ['sessions', () => sessions(deps, caller)],
    ['connections', () => connections(deps, caller)],
    ['queue', () => queue(deps, caller)],
    ['locks', () => locks(deps, caller, callsUnderWay)],
    ['scheduler', () => scheduler(deps, caller)],
    ['tools', () => pins(deps)],
    ['inventory', () => [inventoryCheck(deps.config, deps.directory)]],
    ['servers', () => servers(deps)],
    ['models', () => credentials(deps)],
  ];
  const checks: Check[] = [];
  for (const [check, run] of named) {
    try {
      checks.push(...(await run()));
    } catch {
      checks.push({
        check,
        status: 'fail',
        detail: 'the check could not be made',
        action: 'See the log of this process.',
      });
    }
  }
  checks.sort((a, b) => RANK[a.status] - RANK[b.status]);
  return { status: checks[0]?.status ?? 'ok', checks };
}
