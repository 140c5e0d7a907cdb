// Owns looking: `requests`, `sessions`, `approvals` and `capability-sessions` `list` and `show`, and `runs show`, straight
// from the journal.
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { isoTime } from '../../base/clock.ts';
import { inspectItem } from '../../inspect/inspect.ts';
import type { InspectionView } from '../../inspect/inspect.ts';
import { listPage } from '../../inspect/lists.ts';
import type { Listed, Listing } from '../../inspect/lists.ts';
import { statusFault } from '../../inspect/statuses.ts';
import { MAX_LIMIT } from '../../inspect/visible.ts';
import type { PageQuery } from '../../inspect/visible.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { withStore, withStoreIfAny } from '../open-store.ts';
import { cell, facts, listTable, textTable } from '../print.ts';
import { loadAny } from '../trusted-config.ts';

export interface ListOptions extends CommonOptions {
  status?: string;
  /** Of requests. */
  session?: string;
  limit?: number;
  cursor?: string;
}

/** Most important first: on a narrow screen the last ones are left out. */
const COLUMNS: Record<Listed, readonly string[]> = {
  request: ['request_id', 'status', 'tool', 'age', 'rule_id', 'session_id'],
  session: ['session_id', 'status', 'age', 'intent', 'principal_id'],
  approval: ['approval_id', 'status', 'tool', 'risk', 'left', 'reviewer', 'principal_id'],
  capability_session: [
    'capability_session_id',
    'capability_session_status',
    'server',
    'cause',
    'must_retry',
    'age',
    'run_id',
    'principal_id',
  ],
};

/** `all` is no filter; a misspelt status must not look like an empty list. */
function statusOf(kind: Listed, status: string | undefined): string | undefined {
  if (status === undefined || status === 'all') return undefined;
  const fault = statusFault(kind, status);
  if (fault === undefined) return status;
  throw new RuntimeError('USAGE', `--status: ${fault}, all`);
}

/** A span of time in its largest unit: `45s`, `12m`, `3h`, `9d`. */
function span(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
  ] as const;
  for (const [unit, name] of units) if (ms >= unit) return `${Math.floor(ms / unit)}${name}`;
  return `${Math.max(0, Math.floor(ms / 1000))}s`;
}

/** With how long ago it changed, how long there is left to answer it, and whether somebody should have by now. */
function timed(item: JsonObject, now: number): JsonObject {
  const { status, updated_at: changed, answer_by: until } = item;
  return {
    ...item,
    ...(item.overdue === true ? { status: `${cell(status)}, overdue` } : {}),
    age: typeof changed === 'string' ? `${span(now - Date.parse(changed))} ago` : null,
    left: status === 'pending' && typeof until === 'string' ? span(Date.parse(until) - now) : null,
  };
}

function queryOf(kind: Listed, options: ListOptions): PageQuery {
  const { session, limit, cursor } = options;
  const status = statusOf(kind, options.status);
  if (limit !== undefined && !(limit >= 1 && limit <= MAX_LIMIT)) {
    throw new RuntimeError('USAGE', `--limit must be 1 to ${MAX_LIMIT}.`);
  }
  return {
    filter: {
      ...(status === undefined ? {} : { status }),
      ...(session === undefined ? {} : { session_id: session }),
    },
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

export async function listItems(context: Context, kind: Listed, options: ListOptions): Promise<Exit> {
  const config = await loadAny(context);
  const caller = localCaller(config.identity);
  const query = queryOf(kind, options);
  const page = await withStoreIfAny<Listing>(context, (store) =>
    store === undefined
      ? Promise.resolve({ items: [] })
      : listPage({ store, caller, now: context.clock.now() }, kind, query),
  );
  await context.print.result(page, async () => {
    if (page.items.length === 0) return 'Nothing here.';
    const columns = COLUMNS[kind];
    const heads = columns.map((name) => name.replace(/_id$/, '').replaceAll('_', ' '));
    const now = context.clock.now();
    const rows = page.items.map((item) => timed(item, now));
    return listTable(
      heads,
      rows.map((item) => columns.map((name) => item[name])),
    );
  });
  if (page.next_cursor !== undefined) {
    context.print.remark(`There is more: add --cursor ${cell(page.next_cursor, 400)}`);
  }
  return EXIT.ok;
}

/** Of these everything can be exported. */
function exportOf({ kind, id, links }: InspectionView): string {
  const [of, it] = kind === 'session' || kind === 'run' ? [kind, id] : ['session', links.session_id];
  return typeof it === 'string'
    ? `; all of it: agent-runtime evidence export --${of} ${cell(it, 200)} --out <dir>`
    : '.';
}

/** What a line of a timeline tells besides its time and type. */
const LONGEST_TOLD = 300;
const TOLD = [
  ...['tool', 'decision', 'rule_id', 'status', 'outcome', 'side_effect_status'],
  ...['channel', 'kind', 'answer', 'why', 'resolution_note', 'call_id', 'receipt_id', 'reasons'],
];

// With its whole name an id of ours would not fit into one line of eighty columns.
const SHORT: Readonly<Record<string, string>> = { receipt_id: 'receipt' };

/** What a turn asked for, and what was decided of it then. */
function askedIn(tools: unknown): string[] {
  if (!Array.isArray(tools)) return [];
  return tools.filter(isObject).map(({ tool, decision, rule_id: rule }) => {
    const by = decision === 'deny' ? ` rule_id=${cell(rule)}` : '';
    return `asks=${cell(tool)} decision=${cell(decision)}${by}`;
  });
}

function timelineRow(line: JsonObject): unknown[] {
  const { seq, at, type, answered_by: by, ...rest } = line;
  const shown = TOLD.filter((name) => rest[name] !== undefined).map(
    (name) => `${SHORT[name] ?? name}=${cell(rest[name])}`,
  );
  // Of a call that failed it stands in its error, of a turn in the record itself.
  const { code } = isObject(rest.error) ? rest.error : rest;
  if (code !== undefined) shown.push(`error_code=${cell(code)}`);
  const who = isObject(by) ? [`by=${cell(by.principal_id)}`, `attestation=${cell(by.attestation)}`] : [];
  return [seq, at, type, [...shown, ...askedIn(rest.requested_tools), ...who].join(' ')];
}

export async function showItem(context: Context, kind: Listed | 'run', id: string): Promise<Exit> {
  const config = await loadAny(context);
  const caller = localCaller(config.identity);
  await withStore(context, async (store) => {
    const view = await inspectItem({ store, now: context.clock.now() }, caller, kind, id);
    await context.print.result(view, async () =>
      [
        facts(Object.entries(view.state)),
        '',
        await textTable(['seq', 'at', 'type', 'what'], view.timeline.map(timelineRow), LONGEST_TOLD),
        '',
        facts(Object.entries({ ...view.links, as_of: isoTime(context.clock.now()) })),
      ].join('\n'),
    );
    const cut = view.newest_only ?? [];
    if (cut.length > 0)
      context.print.remark(`Only the newest of ${cut.join(', ')} are listed${exportOf(view)}`);
  });
  return EXIT.ok;
}
