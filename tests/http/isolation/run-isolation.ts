// Owns a whole run: that many operations in a seeded order, in stretches with a server each, with streams of both eras open
// for both, and what was seen that should not have been.
import { random } from '../../attack/random.ts';
import { OPERATIONS } from './operations.ts';
import type { Actor, Scene } from './operations.ts';
import { createWire } from './wire.ts';
import { createWitness, OTHER } from './witness.ts';
import type { Who } from './witness.ts';
import { openWorld } from './world.ts';

export interface IsolationRun {
  operations: number;
  kinds: Record<string, number>;
  bytes: number;
  /** Notices that came on streams. */
  updates: number;
  violations: string[];
}

/** Operations with one server; half of a short run, so that every run has both kinds of world. */
const LONGEST_STRETCH = 2500;
const LANES = 8;
const UPDATED = 'notifications/resources/updated';

type Streams = Awaited<ReturnType<Actor['wire']['stream']>>[];

/** Both eras listen to what the principal owns and, which must not help, to what the other does. */
async function openStreams(actor: Actor, scene: Scene): Promise<Streams> {
  const { witness } = scene;
  const uris = (who: Who): string[] => [
    'agent://approvals/pending',
    ...witness
      .handles(who, 'ses_')
      .slice(-8)
      .map((id) => `agent://sessions/${id}`),
    ...witness
      .handles(who, 'apr_')
      .slice(-8)
      .map((id) => `agent://approvals/${id}`),
  ];
  const notifications = {
    toolsListChanged: true,
    resourceSubscriptions: [...uris(actor.who), ...uris(OTHER[actor.who])],
  };
  const listen = { method: 'subscriptions/listen', params: { notifications } };
  const made = [await actor.wire.stream({ body: listen }, UPDATED)];
  const session = actor.sessions[0];
  if (session !== undefined) {
    const headers = { 'mcp-session-id': session };
    made.push(await actor.wire.stream({ method: 'GET', headers }, UPDATED));
    for (const uri of uris(actor.who).slice(0, 4)) {
      await actor.wire.legacy(session, 'resources/subscribe', { uri });
    }
  }
  return made;
}

interface Stretch {
  from: number;
  to: number;
  seed: number;
  tenants: 1 | 2;
}

async function stretch(run: IsolationRun, { from, to, seed, tenants }: Stretch): Promise<void> {
  const by = random(seed + from);
  const world = await openWorld(tenants);
  const witness = createWitness();
  const make = (who: Who): Actor => ({
    who,
    wire: createWire(world, who, witness),
    sessions: [],
    questions: [],
    words: 0,
  });
  const scene: Scene = { world, witness, by, actors: { alice: make('alice'), bob: make('bob') } };
  const kinds = Object.keys(OPERATIONS);
  let next = from;
  let streams: Streams = [];
  async function lane(): Promise<void> {
    while (next < to) {
      const at = next++;
      const kind = by.pick(kinds);
      const actor = scene.actors[by.pick(['alice', 'bob'] as const)];
      const wrong = await OPERATIONS[kind]?.(actor, scene);
      if (wrong !== undefined) run.violations.push(`${at} ${kind} by ${actor.who}: ${wrong}`);
      run.operations += 1;
      run.kinds[kind] = (run.kinds[kind] ?? 0) + 1;
      world.clock.advance(20);
      if ((at - from) % 1000 === 200) await reopen();
    }
  }
  async function reopen(): Promise<void> {
    leave();
    const opened = await Promise.all(Object.values(scene.actors).map((actor) => openStreams(actor, scene)));
    streams = opened.flat();
  }
  function leave(): void {
    for (const stream of streams) {
      run.updates += stream.took();
      stream.end();
    }
    streams = [];
  }
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    leave();
    run.bytes += witness.bytes;
    run.violations.push(...witness.violations);
    await world.close();
  }
}

export async function runIsolation(asked: { seed: number; operations: number }): Promise<IsolationRun> {
  const run: IsolationRun = { operations: 0, kinds: {}, bytes: 0, updates: 0, violations: [] };
  const { seed, operations } = asked;
  const each = Math.min(LONGEST_STRETCH, Math.ceil(operations / 2));
  let tenants: 1 | 2 = 1;
  for (let from = 0; from < operations && run.violations.length === 0; from += each) {
    await stretch(run, { from, to: Math.min(from + each, operations), seed, tenants });
    tenants = tenants === 1 ? 2 : 1;
  }
  return run;
}

/** The closing line, and what is wrong with the run; a run in which little happened proves nothing. */
export async function isolationSummary(asked: {
  seed: number;
  operations: number;
}): Promise<{ line: Record<string, unknown>; wrong: string[] }> {
  const run = await runIsolation(asked);
  const wrong = [...run.violations];
  if (run.operations !== asked.operations) wrong.push(`${run.operations} of ${asked.operations} operations`);
  const least = Math.floor(asked.operations / Object.keys(OPERATIONS).length / 2);
  for (const kind of Object.keys(OPERATIONS)) {
    if ((run.kinds[kind] ?? 0) < least) wrong.push(`${kind} only ${run.kinds[kind] ?? 0} times`);
  }
  if (run.updates < 1) wrong.push('no update was delivered');
  const { violations, ...rest } = run;
  return { line: { suite: 'isolation', seed: asked.seed, ...rest, violations: violations.length }, wrong };
}
