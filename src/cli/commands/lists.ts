// Owns looking: `requests`, `sessions` and `approvals` `list` and `show`, straight from the journal.
import type { JsonObject } from '../../base/json.ts';
import { isoTime } from '../../base/clock.ts';
import { inspectItem } from '../../inspect/inspect.ts';
import { approvalView, requestView, sessionView } from '../../inspect/views.ts';
import { notFound, rowQuery } from '../../inspect/visible.ts';
import { createApprovals } from '../../kernel/approvals/approvals.ts';
import type { ApprovalSubject } from '../../kernel/approvals/approval.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { Store, StoredRow } from '../../store/contract.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { withStore, withStoreIfAny } from '../open-store.ts';
import { cell, facts, table } from '../print.ts';
import { loadAny } from '../trusted-config.ts';

export interface ListOptions extends CommonOptions {
  status?: string;
  session?: string;
  limit?: number;
  cursor?: string;
}

export type Listed = 'request' | 'session' | 'approval';

const COLUMNS: Record<Listed, readonly string[]> = {
  request: ['request_id', 'status', 'tool', 'rule_id', 'updated_at', 'session_id'],
  session: ['session_id', 'status', 'principal_id', 'intent', 'updated_at'],
  approval: ['approval_id', 'status', 'tool', 'risk', 'reviewer', 'answer_by', 'principal_id'],
};

const VIEW: Record<Listed, (row: StoredRow) => JsonObject> = {
  request: requestView,
  session: sessionView,
  approval: approvalView,
};

/** A row that says `pending` after its time is up: the journal settles it, and the newer row is shown. */
async function settled(context: Context, store: Store, row: StoredRow): Promise<StoredRow> {
  const { subject } = row.body as unknown as { subject: ApprovalSubject };
  const now = context.clock.now();
  if (row.status !== 'pending' || now < subject.answerBy) return row;
  await createApprovals(store).get(row.tenant, row.id, now);
  return (await store.row('approval', row.tenant, row.id)) ?? row;
}

interface Listing {
  items: JsonObject[];
  next_cursor?: string;
}

async function readPage(
  context: Context,
  from: { store: Store | undefined; caller: Caller; kind: Listed },
  options: ListOptions,
): Promise<Listing> {
  const { store, caller, kind } = from;
  const { status, session, limit, cursor } = options;
  const query = rowQuery(caller, kind, {
    filter: {
      ...(status === undefined ? {} : { status }),
      ...(session === undefined ? {} : { session_id: session }),
    },
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  if (store === undefined) return { items: [] };
  const page = await store.list(query);
  const rows =
    kind === 'approval'
      ? await Promise.all(page.items.map((row) => settled(context, store, row)))
      : page.items;
  const kept = rows.filter((row) => status === undefined || row.status === status);
  return {
    items: kept.map(VIEW[kind]),
    ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
  };
}

export async function listItems(context: Context, kind: Listed, options: ListOptions): Promise<Exit> {
  const config = await loadAny(context);
  const caller = localCaller(config.identity);
  const page = await withStoreIfAny(context, (store) => readPage(context, { store, caller, kind }, options));
  await context.print.result(page, async () => {
    if (page.items.length === 0) return 'Nothing here.';
    const columns = COLUMNS[kind];
    const heads = columns.map((name) => name.replace(/_id$/, '').replaceAll('_', ' '));
    return table(
      heads,
      page.items.map((item) => columns.map((name) => item[name])),
    );
  });
  if (page.next_cursor !== undefined) {
    context.print.remark(`There is more: add --cursor ${cell(page.next_cursor, 400)}`);
  }
  return EXIT.ok;
}

function timelineRow(line: JsonObject): unknown[] {
  const { seq, at, type, ...rest } = line;
  const told = ['tool', 'decision', 'rule_id', 'status', 'outcome', 'side_effect_status', 'error_code'];
  const shown = told.filter((name) => rest[name] !== undefined).map((name) => `${name}=${cell(rest[name])}`);
  return [seq, at, type, shown.join(' ')];
}

export async function showItem(context: Context, kind: Listed, id: string): Promise<Exit> {
  const config = await loadAny(context);
  const caller = localCaller(config.identity);
  await withStore(context, async (store) => {
    if (kind === 'approval') {
      const found = await createApprovals(store).get(caller.tenant, id, context.clock.now());
      if (found === undefined) throw notFound(kind, id);
    }
    const view = await inspectItem(store, caller, kind, id);
    await context.print.result(view, async () =>
      [
        facts(Object.entries(view.state)),
        '',
        await table(['seq', 'at', 'type', 'what'], view.timeline.map(timelineRow)),
        '',
        facts(Object.entries({ ...view.links, as_of: isoTime(context.clock.now()) })),
      ].join('\n'),
    );
  });
  return EXIT.ok;
}
