// Shows the four patterns of orchestration over real sessions: wherever its process dies, the next one goes on from the last
// checkpoint, and nothing that had ended before is asked again.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { boot, CALLER, createWorld, dyingStore, governed, IO, lastUser, user } from '../managed/rig.ts';
import type { Death, World } from '../managed/rig.ts';

const step = (id: string, more: object = {}): object => ({
  id,
  execute_turn_input: { messages: [user(id)] },
  ...more,
});
const after = (...ids: string[]): object => ({ depends_on: ids });
const text = { type: 'string' };
const given = (from: string, path = '/assistant_message'): object => ({ from, path, type: 'string' });

interface Pattern {
  nodes: object[];
  /** What the model says to each node; any other says its own name. */
  says?: Record<string, string>;
  /** The node at the end, and what it must have been told. */
  last: string;
  told: string[];
  never?: string[];
}

const PATTERNS: Record<string, Pattern> = {
  chaining: {
    nodes: [step('outline'), step('draft', after('outline')), step('polish', after('draft'))],
    last: 'polish',
    told: ['said draft'],
  },
  routing: {
    nodes: [
      step('classify', {
        output_schema: { type: 'object', properties: { queue: text }, required: ['queue'] },
      }),
      step('refund', { ...after('classify'), when: 'nodes.classify.output.structured.queue == "refund"' }),
      step('chat', { ...after('classify'), when: 'nodes.classify.output.structured.queue == "chat"' }),
      step('answer', after('refund', 'chat')),
    ],
    says: { classify: '{"queue":"refund"}' },
    last: 'answer',
    told: ['said refund'],
    never: ['chat'],
  },
  parallelization: {
    nodes: [step('one'), step('two'), step('three'), step('count', after('one', 'two', 'three'))],
    last: 'count',
    told: ['said one', 'said two', 'said three'],
  },
  'orchestrator and workers': {
    nodes: [
      step('plan', {
        output_schema: { type: 'object', properties: { a: text, b: text }, required: ['a', 'b'] },
      }),
      step('work_a', { ...after('plan'), inputs: { task: given('plan', '/structured/a') } }),
      step('work_b', { ...after('plan'), inputs: { task: given('plan', '/structured/b') } }),
      step('report', { ...after('work_a', 'work_b'), inputs: { a: given('work_a'), b: given('work_b') } }),
    ],
    says: { plan: '{"a":"dig","b":"fill"}' },
    last: 'report',
    told: ['said work_a', 'said work_b'],
  },
};

interface Life {
  world: World;
  /** Nodes that the model was asked for, in order, and what the last one was told. */
  asked: string[];
  told: string;
}

function born({ says = {}, last }: Pattern): Life {
  const life: Omit<Life, 'world'> = { asked: [], told: '' };
  const world = createWorld({
    mind: (input) => {
      const name = lastUser(input);
      life.asked.push(name);
      if (name === last) life.told = JSON.stringify(input.messages);
      return governed({ status: 'complete', assistant_message: says[name] ?? `said ${name}` });
    },
  });
  return Object.assign(life, { world });
}

async function completedIn({ store }: World): Promise<unknown[]> {
  const records = await store.read({ tenant: 'local', aggregate: 'session', id: 'wf' });
  const done = records.filter(({ header }) => header.type === 'node_completed');
  return done.map(({ evidence }) => (evidence.state === 'present' ? evidence.value.node_id : undefined));
}

/** One life whose first process dies at its n-th commit; false when it lived on. */
async function dies(pattern: Pattern, at: number, when: 'before' | 'after'): Promise<boolean> {
  const life = born(pattern);
  const { world } = life;
  const workflow = { session_id: 'wf', nodes: pattern.nodes };
  const death: Death = { happened: false };
  const victim = boot(world, (store) => dyingStore(store, at, when, death));
  const victims = await victim.rig.pack.workflows();
  await victims.start(CALLER, { workflow }, IO).catch(() => undefined);
  world.dead.add(victim.instance);
  const [done, before] = [await completedIn(world), life.asked.length];
  const heirs = await boot(world).rig.pack.workflows();
  const told = await heirs.start(CALLER, { workflow }, IO);
  expect(told, `${when} commit ${at}`).toMatchObject({ kind: 'completed' });
  const again = life.asked.slice(before).filter((name) => done.includes(name));
  expect(again, `${when} commit ${at}`).toEqual([]);
  for (const part of pattern.told) expect(life.told).toContain(part);
  for (const name of pattern.never ?? []) expect(life.asked).not.toContain(name);
  return death.happened;
}

for (const [name, pattern] of Object.entries(PATTERNS)) {
  verifies(['WF-20'], `${name} goes on from its checkpoints, wherever its process dies`, async () => {
    for (const when of ['before', 'after'] as const) {
      let at = 1;
      while (await dies(pattern, at, when)) at += 1;
      expect(at).toBeGreaterThan(8);
    }
  });
}
