// One life of a workflow: processes that crash at chosen commits, branches that end in a chosen order, a worker that fires
// timers, and a person who resumes. What came of it is told in a form that two lives can be compared by.
import { asRuntimeError, RuntimeError } from '../../src/base/errors.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { WorkflowResult, Workflows } from '../../src/pack/workflows/contract.ts';
import { eventOf } from '../../src/pack/workflows/events.ts';
import { ABSENT, apply } from '../../src/pack/workflows/state.ts';
import { createWorkflows } from '../../src/pack/workflows/workflows.ts';
import type { Store, StoredRecord } from '../../src/store/contract.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { createFakeSessions } from '../workflows/fake-sessions.ts';
import type { FakeSession, FakeSessions } from '../workflows/fake-sessions.ts';
import { CALLER, createTestHolds } from '../workflows/rig.ts';
import { expectedOf } from './expected.ts';
import { answerOf, dependenciesOf, sayingsOf, undoingsOf, workflowOf } from './graphs.ts';
import type { GraphSpec, NodeSpec } from './graphs.ts';

export interface Fate {
  /** Commits that each process makes before it dies; after the last, processes live. */
  crashes: { after: number; isWritten: boolean }[];
  /** Which of the waiting branches ends next, each time. */
  choices: number[];
}

/** A bug to be found. */
export interface Sabotage {
  store?: (store: Store) => Store;
  sessions?: (sessions: FakeSessions) => void;
}

export interface Told {
  result: WorkflowResult;
  records: StoredRecord[];
  sessions: FakeSession[];
  /** Names in the order in which runs of sessions ended. */
  ended: string[];
}

const tick = (): Promise<void> => new Promise((go) => setImmediate(go));
const MOST_ROUNDS = 400;

/** A process's view of the store: at its last commit it is dead, whether or not that was still written. */
function mortal(store: Store, crash: Fate['crashes'][number] | undefined): Store {
  let left = crash?.after ?? Infinity;
  return {
    ...store,
    async commit(commit) {
      if (left < 0) throw new RuntimeError('STORE_UNAVAILABLE', 'this process is dead');
      if (left-- > 0) return store.commit(commit);
      if (crash?.isWritten === true) await store.commit(commit);
      throw new RuntimeError('STORE_UNAVAILABLE', 'this process died');
    },
  };
}

export async function live(graph: GraphSpec, fate: Fate, sabotage: Sabotage = {}): Promise<Told> {
  const real = createMemoryStore({ ids: createFixedIds('store') });
  const store = sabotage.store?.(real) ?? real;
  const clock = createFakeClock();
  const sessions = createFakeSessions(({ node_id: name, attempt }, isUndo) =>
    isUndo ? undoingsOf(graph, name, attempt) : sayingsOf(graph, name, attempt),
  );
  sabotage.sessions?.(sessions);
  const gates: { name: string; open: () => void }[] = [];
  const ended: string[] = [];
  sessions.gate = ({ node }) => new Promise((open) => gates.push({ name: node, open }));
  const io = { signal: new AbortController().signal };
  const crashes = [...fate.crashes];
  const choices = [...fate.choices];

  const born = (): Workflows => {
    const own = mortal(store, crashes.shift());
    const deps = { store: own, clock, ids: createFixedIds('ids'), agentId: 'agent', sessions };
    return createWorkflows({
      ...deps,
      holds: createTestHolds(store, () => clock.now()),
      redact: (value) => ({ value, fields: [] }),
    });
  };

  /** Lets branches end one by one, and time pass when only time can help, until the answer is there. */
  const settle = async <T>(asked: Promise<T>): Promise<T> => {
    const watch = { isDone: false };
    const watched = asked.finally(() => (watch.isDone = true));
    watched.catch(() => undefined);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      await tick();
      if (watch.isDone) return watched;
      const [gate] = gates.length === 0 ? [] : gates.splice((choices.shift() ?? 0) % gates.length, 1);
      if (gate !== undefined) {
        ended.push(gate.name);
        gate.open();
      } else if (clock.pending > 0) clock.advance(1000);
    }
    throw new Error('an invocation does not end');
  };

  let process = born();
  const once = async (
    asked: () => Promise<WorkflowResult | undefined>,
  ): Promise<WorkflowResult | undefined> => {
    try {
      return await settle(asked());
    } catch (thrown) {
      if (asRuntimeError(thrown).code !== 'STORE_UNAVAILABLE') throw thrown;
      process = born();
      return undefined;
    }
  };

  const fire = async (until: number): Promise<void> => {
    clock.advance(Math.max(0, until - clock.now()));
    const claim = (): ReturnType<Store['claimTimers']> => store.claimTimers('worker', clock.now(), 1000, 100);
    let due = await claim();
    if (due.length === 0) {
      clock.advance(1000); // a process may have died with the timers it took; they are given again
      due = await claim();
    }
    if (due.length === 0) throw new Error('the workflow waits for a time, and no timer will come');
    for (const { tenant, payload } of due)
      await once(async () => {
        const woken = await process.wake(tenant, payload, { callerOf: () => CALLER, io });
        return typeof woken === 'string' ? undefined : woken;
      });
  };

  let told = await once(() => process.start(CALLER, { workflow: workflowOf(graph) }, io));
  for (let round = 0; round < MOST_ROUNDS; round++) {
    if (told === undefined) {
      told = await once(() => process.start(CALLER, { workflow: workflowOf(graph) }, io)); // a recovery sweep
      continue;
    }
    if (told.over) {
      const records = await store.read({ tenant: 'local', aggregate: 'session', id: 'wf' });
      return { result: told, records, sessions: [...sessions.all.values()], ended };
    }
    const times = told.waiting_nodes.flatMap((one) =>
      one.needs === 'time' ? [Date.parse(one.wake_at)] : [],
    );
    if (times.length > 0 && times.length === told.waiting_nodes.length) {
      await fire(Math.min(...times));
      told = await once(() => process.inspect(CALLER, 'wf'));
    } else told = await once(() => process.resume(CALLER, 'wf', {}, io));
  }
  throw new Error('the workflow does not end');
}

/** What a node was told of those before it. */
function contextOf({ input }: FakeSession): string {
  return input.messages.length > 1 ? input.messages[0]!.content : '';
}

/** What may not depend on order or crashes. */
export function outcomeOf({ result, sessions }: Told): unknown {
  const runs = sessions
    .map(
      (session) =>
        `${session.node} ${session.parent.attempt}/${session.parent.iteration} ${contextOf(session)}`,
    )
    .sort();
  const { kind, nodes, completed_node_ids } = result;
  return { kind, nodes, completed_node_ids, runs };
}

function nodeOf({ evidence }: StoredRecord): string {
  const id = evidence.state === 'present' ? evidence.value.node_id : undefined;
  return typeof id === 'string' ? id : '';
}

function fail(why: string): never {
  throw new Error(why);
}

/** Every record is one that the state before it allows. */
function checkRecords({ records }: Told): void {
  let state = ABSENT;
  for (const { header, evidence } of records) {
    const event = eventOf(header.type, evidence.state === 'present' ? evidence.value : undefined);
    const applied = apply(state, event, { seq: header.seq });
    if (!applied.ok) fail(`record ${header.seq} was not allowed: ${applied.refused}`);
    state = applied.state;
  }
}

/** Every node that ran knew what all its dependencies had said, and those had ended before. */
function checkInputs(graph: GraphSpec, { records, sessions }: Told): void {
  const seqOf = (type: string, name: string): number | undefined =>
    records.find((record) => record.header.type === type && nodeOf(record) === name)?.header.seq;
  for (const session of sessions) {
    if (session.node.startsWith('undo')) continue;
    const dependencies = dependenciesOf(graph, Number(session.node.slice(1)));
    const begun =
      seqOf('node_started', session.node) ?? fail(`${session.node} ran and its start is not recorded`);
    for (const name of dependencies) {
      const done = seqOf('node_completed', name);
      const skipped = seqOf('node_skipped', name);
      if ((done ?? skipped ?? Infinity) > begun) fail(`${session.node} began before ${name} ended`);
      const at = Number(name.slice(1));
      const said = answerOf(graph.nodes[at]!, at);
      if (done !== undefined && !contextOf(session).includes(said))
        fail(`${session.node} was not told of ${name}`);
    }
  }
}

/** No session's run is paid for twice: each step of its script was taken at most once, and one attempt has one session. */
function checkOnce({ sessions, records }: Told): void {
  const seen = new Set<string>();
  for (const { node, parent } of sessions) {
    const key = `${node} ${parent.attempt} ${parent.iteration}`;
    if (seen.has(key)) fail(`${key} has two sessions`);
    seen.add(key);
  }
  const fires = records.filter(({ header }) => header.type === 'wakeup_fired').length;
  const waits = records.filter(
    ({ header }) => header.type === 'node_scheduled' || header.type === 'node_retried',
  ).length;
  if (fires > waits) fail('a wake-up fired that nobody waited for');
}

/** No node began before its time. */
function checkTimes(graph: GraphSpec, { records }: Told): void {
  for (const record of records) {
    const { header } = record;
    if (header.type !== 'node_started') continue;
    const spec = graph.nodes[Number(nodeOf(record).slice(1))]!;
    if (header.at < Date.UTC(2026, 0, 1) + spec.wakeAfterS * 1000) fail('a node began before its wake time');
  }
}

/** What was completed and can be undone was undone, once, last first. */
function checkUndone(graph: GraphSpec, { result, records }: Told): void {
  if (graph.policy !== 'compensate' || result.kind !== 'error') return;
  const names = (type: string): string[] => records.filter(({ header }) => header.type === type).map(nodeOf);
  const specOf = (name: string): NodeSpec => graph.nodes[Number(name.slice(1))]!;
  const toUndo = names('node_completed').filter((name) => specOf(name).isCompensable);
  const canBe = toUndo.filter((name) => specOf(name).undoFailures < specOf(name).attempts);
  const undone = names('node_compensated');
  if (undone.join() !== canBe.reverse().join()) fail(`undone: ${undone.join()}, expected ${canBe.join()}`);
  const lost = names('compensation_failed');
  if (lost.length !== toUndo.length - canBe.length) fail(`not undone: ${lost.join()}`);
}

/** It came to what its description alone says: which nodes ran, which were left out, and how it ended. */
function checkExpected(graph: GraphSpec, { result, sessions }: Told): void {
  const { kind, statuses } = expectedOf(graph);
  if (result.kind !== kind) fail(`it ended as ${result.kind}, expected ${kind}`);
  if (kind === 'error' && graph.policy !== 'continue') return;
  const ran = new Set(sessions.map(({ node }) => node));
  result.nodes.forEach(({ node_id: name, status }, at) => {
    const expected = statuses[at] ?? 'missing';
    if (status !== expected) fail(`${name} is ${status}, expected ${expected}`);
    if (ran.has(name) !== (expected !== 'skipped'))
      fail(`${name} is ${status} and its session says otherwise`);
  });
}

export function checkTold(graph: GraphSpec, told: Told): void {
  checkExpected(graph, told);
  checkRecords(told);
  checkInputs(graph, told);
  checkOnce(told);
  checkTimes(graph, told);
  checkUndone(graph, told);
}
