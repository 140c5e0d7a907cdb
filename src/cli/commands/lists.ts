// Owns looking: `requests`, `sessions` and `approvals` `list` and `show`, straight from the journal.
import type { JsonObject } from '../../base/json.ts';
import { isoTime } from '../../base/clock.ts';
import { inspectItem } from '../../inspect/inspect.ts';
import { listPage } from '../../inspect/lists.ts';
import type { Listed, Listing } from '../../inspect/lists.ts';
import { checkedLimit } from '../../inspect/visible.ts';
import type { PageQuery } from '../../inspect/visible.ts';
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
  tool?: string;
  limit?: number;
  cursor?: string;
}

const COLUMNS: Record<Listed, readonly string[]> = {
  request: ['request_id', 'status', 'tool', 'rule_id', 'updated_at', 'session_id'],
  session: ['session_id', 'status', 'principal_id', 'intent', 'updated_at'],
  approval: ['approval_id', 'status', 'tool', 'risk', 'reviewer', 'answer_by', 'principal_id'],
};

function queryOf({ status, session, tool, limit, cursor }: ListOptions): PageQuery {
  return {
    filter: {
      ...(status === undefined ? {} : { status }),
      ...(session === undefined ? {} : { session_id: session }),
      ...(tool === undefined ? {} : { tool }),
    },
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

export async function listItems(context: Context, kind: Listed, options: ListOptions): Promise<Exit> {
  const config = await loadAny(context);
  const caller = localCaller(config.identity);
  const query = queryOf(options);
  checkedLimit(query.limit);
  const page = await withStoreIfAny<Listing>(context, (store) =>
    store === undefined
      ? Promise.resolve({ items: [] })
      : listPage({ store, caller, now: context.clock.now() }, kind, query),
  );
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
    const view = await inspectItem({ store, now: context.clock.now() }, caller, kind, id);
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
