// Owns what is listed of a story that may be of any length: its newest lines, the decisions and the receipts that its lines
// carry, and the ids that they name. All records are heard, few are kept, and what was left out is said.
import type { JsonObject } from '../base/json.ts';
import type { StoredRecord } from '../store/contract.ts';
import { decisionsIn, receiptIn, recordView } from './views.ts';

// A list is read by a person; whoever needs every record exports the evidence.
const MOST_LISTED = 500;

type StoryList = 'timeline' | 'decisions' | 'receipts';

export interface StoryLists {
  timeline: JsonObject[];
  decisions: JsonObject[];
  receipts: JsonObject[];
  /** The lists of which only the newest are here; absent: all of them are whole. */
  newest_only?: StoryList[];
}

interface Line {
  record: StoredRecord;
  view: JsonObject;
}

type Order = (a: StoredRecord, b: StoredRecord) => number;

/** The newest in an order; without one, those that came last. */
class NewestLines {
  readonly #order: Order | undefined;
  #kept: Line[] = [];
  #isCut = false;

  constructor(order?: Order) {
    this.#order = order;
  }

  add(line: Line): void {
    this.#kept.push(line);
    if (this.#kept.length >= 2 * MOST_LISTED) this.#cut();
  }

  views(): { views: JsonObject[]; isCut: boolean } {
    this.#cut();
    return { views: this.#kept.map(({ view }) => view), isCut: this.#isCut };
  }

  #cut(): void {
    const order = this.#order;
    if (order !== undefined) this.#kept.sort((a, b) => order(a.record, b.record));
    if (this.#kept.length <= MOST_LISTED) return;
    this.#kept = this.#kept.slice(-MOST_LISTED);
    this.#isCut = true;
  }
}

/** Each once, where it stands first; the newest of them. */
class NewestOnce {
  readonly #keys: readonly string[];
  readonly #kept = new Map<string, JsonObject>();
  isCut = false;

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  add(view: JsonObject): void {
    const key = JSON.stringify(this.#keys.map((name) => view[name] ?? null));
    if (this.#kept.has(key)) return;
    this.#kept.set(key, view);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size <= MOST_LISTED || oldest === undefined) return;
    this.#kept.delete(oldest);
    this.isCut = true;
  }

  views(): JsonObject[] {
    return [...this.#kept.values()];
  }
}

const NAMED = ['approval_id', 'capability_session_id', 'trace_id', 'run_id', 'call_id'] as const;
type Named = (typeof NAMED)[number];

// A call that waited for a person is decided again when it starts: the same decision stands in two records.
const ONE_DECISION = ['call_id', 'tool', 'decision', 'rule_id', 'layer', 'policy_digest', 'reasons'];

export class Story {
  readonly #lines: NewestLines;
  readonly #decisions = new NewestOnce(ONE_DECISION);
  readonly #receipts = new NewestOnce(['receipt_id', 'type']);
  readonly #ids = new Map<Named, Set<string>>(NAMED.map((name) => [name, new Set()]));

  constructor(order?: Order) {
    this.#lines = new NewestLines(order);
  }

  /** Answers with the line that tells the record. */
  add(record: StoredRecord): JsonObject {
    const view = recordView(record);
    this.#lines.add({ record, view });
    for (const one of decisionsIn(view)) this.#decisions.add(one);
    const receipt = receiptIn(view);
    if (receipt !== undefined) this.#receipts.add(receipt);
    for (const name of NAMED) {
      const id = view[name];
      if (typeof id === 'string' && id !== '') this.#ids.get(name)?.add(id);
    }
    return view;
  }

  /** The different ids that its lines name so far, in order. */
  ids(name: Named): string[] {
    return [...(this.#ids.get(name) ?? [])];
  }

  lists(): StoryLists {
    const { views: timeline, isCut } = this.#lines.views();
    const cuts = { timeline: isCut, decisions: this.#decisions.isCut, receipts: this.#receipts.isCut };
    const cut = (Object.keys(cuts) as StoryList[]).filter((name) => cuts[name]);
    return {
      timeline,
      decisions: this.#decisions.views(),
      receipts: this.#receipts.views(),
      ...(cut.length === 0 ? {} : { newest_only: cut }),
    };
  }
}
