// Owns the binding attack: an approved call, and then every other call than the approved one. Nothing may ever run on
// that approval; after each batch the approved call itself runs once, so that a run that did nothing cannot pass.
import { canonicalJson } from '../../src/base/json.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { bindingDigest } from '../../src/kernel/approvals/digests.ts';
import type { CallRequest } from '../../src/kernel/call.ts';
import type { StoredRecord } from '../../src/store/contract.ts';
import { capability, pay, sampleConfig } from '../kernel/sample-config.ts';
import { approved, CALLER, contextOf, createRig, sessionOf } from '../kernel/rig.ts';
import type { MakeRig, Rig } from '../kernel/rig.ts';
import { mutated, otherText } from './mutate.ts';
import { random } from './random.ts';
import type { Random } from './random.ts';

export interface BindingRun {
  mutations: number;
  /** How often each field was attacked. */
  fields: Record<string, number>;
  /** Attacks that ran: seed and what was changed. Must stay empty. */
  escaped: string[];
  /** Approved calls that ran as they should. */
  control: number;
}

const ARGS: JsonObject = {
  amount: 125,
  to: 'DE89 3704 0044',
  note: 'caf\u00e9 order',
  urgent: false,
  lines: [
    { sku: 'a-1', count: 2, tags: ['x', 'y'] },
    { sku: 'b-2', count: 1, tags: [] },
  ],
  meta: { ref: null, deep: { er: { path: '/tmp/a', n: 1.5 } } },
};
const BATCH = 100;

function config(digest = 'sha256:policy'): ReturnType<typeof sampleConfig> {
  const pay2 = { ...capability('pay2'), mode: 'write', risk: 'medium', approval: pay.approval } as const;
  return sampleConfig({
    capabilities: [pay, pay2],
    policy: { digest, registry: { allowed: ['pay', 'pay2'], denied: [] } },
  });
}

interface Scene {
  make: MakeRig;
  rig: Rig;
  by: Random;
  approvalId: string;
}

type Attack = (scene: Scene) => Promise<Rig>;

function call(rig: Rig, over: Partial<CallRequest>, tool = 'pay', args: unknown = ARGS): Promise<Rig> {
  return rig.call(tool, args, over).then(
    () => rig,
    () => rig, // refused by throwing: nothing ran
  );
}

function asCaller(over: object): Partial<CallRequest> {
  return { context: contextOf({ caller: { ...CALLER, ...over } }) };
}

/** Another text that the store takes as a name. */
function otherName(text: string, by: Random): string {
  for (;;) {
    const other = otherText(text, by);
    if (other !== text && other !== '' && !other.includes('\0')) return other;
  }
}

function otherArgs(by: Random): JsonObject {
  for (;;) {
    const args = mutated(ARGS, by);
    if (canonicalJson(args) !== canonicalJson(ARGS)) return args;
  }
}

function second(scene: Scene, over: Parameters<MakeRig>[0]): Rig {
  const { rig, by, make } = scene;
  return make({ store: rig.store, clock: rig.clock, idSeed: `s${by.below(1e9)}`, config: config(), ...over });
}

/** The request of an approval, as that of another one. */
function named(event: JsonObject, approvalId: string): JsonObject {
  return 'subject' in event ? { ...event, subject: { ...(event.subject as JsonObject), approvalId } } : event;
}

/** A chain and row forged beside the real ones: the answer of the real approval under another id or expiry. */
async function forge(
  scene: Scene,
  change: (event: JsonObject, id: string, subject: JsonObject) => JsonObject,
): Promise<Rig> {
  const { rig, by } = scene;
  // Its own store, where the true approval has been used: only the forged one is left.
  const own = scene.make({ config: config(), clock: rig.clock, idSeed: `f${by.below(1e9)}` });
  const real = await approved(own, 'pay', ARGS);
  await own.call('pay', ARGS);
  own.effects.length = 0;
  const id = `${real}x`;
  const records = await own.store.read({ tenant: 'local', aggregate: 'approval', id: real });
  const row = await own.store.row('approval', 'local', real);
  if (row === undefined) throw new Error('no approval row');
  const { version: _, ...plain } = row;
  const subject = plain.body.subject as JsonObject;
  const events = records.filter((one) => one.header.type !== 'approval_consumed');
  await own.store.commit({
    appends: events.map((record: StoredRecord, seq) => ({
      chain: { ...record.header.chain, id },
      when: { seq },
      type: record.header.type,
      at: record.header.at,
      evidence: record.evidence.state === 'present' ? change(record.evidence.value, id, subject) : {},
    })),
    rows: [{ row: { ...plain, id, status: 'approved', updatedAt: plain.updatedAt + 1 } }],
  });
  await call(own, {});
  return own;
}

const ATTACKS: Readonly<Record<string, Attack>> = {
  tenant: ({ rig, by }) => call(rig, asCaller({ tenant: otherName(CALLER.tenant, by) })),
  principal: ({ rig, by }) => call(rig, asCaller({ principal: otherName(CALLER.principal, by) })),
  session: ({ rig, by }) =>
    call(rig, { session: sessionOf(rig.clock, { id: otherName(rig.request('pay', {}).session.id, by) }) }),
  actor: ({ rig, by }) =>
    call(rig, { session: sessionOf(rig.clock, { actor: otherName(CALLER.actor, by) }) }),
  agent: async (scene) => {
    const agentId = otherName('agent-1', scene.by);
    const other = config();
    // Also the agent that its own policy knows: the approval was another's.
    return call(second(scene, { config: { ...other, agent: { ...other.agent, id: agentId } } }), {
      context: contextOf({ agentId }),
    });
  },
  delegation: ({ rig, by }) => {
    const text = otherName('', by);
    const delegation = {
      mode: by.pick(['user_delegated', 'human_approved'] as const),
      delegatedPrincipalId: by.pick(['', text]),
      delegatedScope: by.pick(['', text]),
    };
    return call(rig, { context: contextOf({ delegation }) });
  },
  key: ({ rig, by }) => call(rig, { idempotencyKey: otherName('', by) }),
  tool: ({ rig }) => call(rig, {}, 'pay2'),
  args: ({ rig, by }) => call(rig, {}, 'pay', otherArgs(by)),
  pin: (scene) => {
    const other = second(scene, {});
    other.pins.set('pay', { state: 'declared', digest: otherName('sha256:pay', scene.by) });
    return call(other, {});
  },
  policy: (scene) => call(second(scene, { config: config(otherName('sha256:policy', scene.by)) }), {}),
  time: async (scene) => {
    const own = scene.make({ config: config(), idSeed: `t${scene.by.below(1e9)}` });
    await approved(own, 'pay', ARGS);
    own.clock.advance(300_000 + scene.by.below(1_000_000));
    return call(own, {});
  },
  approval_id: (scene) => forge(scene, (event, id) => named(event, id)),
  chain: (scene) => forge(scene, (event) => event),
  expiry: (scene) =>
    forge(scene, (event, id, subject) =>
      'useBy' in event
        ? {
            ...event,
            bindingDigest: bindingDigest(subject.actionDigest as string, id, Number(event.useBy)),
            useBy: Number(event.useBy) + 1 + scene.by.below(1e9),
          }
        : named(event, id),
    ),
  answer: (scene) =>
    forge(scene, (event, id) =>
      'useBy' in event
        ? { ...event, bindingDigest: bindingDigest('sha256:other', id, Number(event.useBy)) }
        : named(event, id),
    ),
};
// Arguments have the most to change; a forged chain costs the most.
const WEIGHTS = [
  'tenant',
  'principal',
  'agent',
  'delegation',
  'key',
  'session',
  'actor',
  'tool',
  'pin',
  'policy',
  'time',
] as const;
const FORGED = ['approval_id', 'chain', 'expiry', 'answer'] as const;

function choose(by: Random): string {
  const draw = by.below(20);
  if (draw < 11) return 'args';
  return draw < 19 ? by.pick(WEIGHTS) : by.pick(FORGED);
}

/** Runs that many attacks, all drawn from the seed. */
export async function runBinding(options: {
  seed: number;
  mutations: number;
  make?: MakeRig;
}): Promise<BindingRun> {
  const { seed, mutations, make = createRig } = options;
  const by = random(seed);
  const run: BindingRun = { mutations: 0, fields: {}, escaped: [], control: 0 };
  while (run.mutations < mutations) {
    const rig = make({ config: config(), idSeed: `b${run.mutations}` });
    const scene: Scene = { make, rig, by, approvalId: await approved(rig, 'pay', ARGS) };
    for (let n = 0; n < BATCH && run.mutations < mutations; n++) {
      const field = choose(by);
      const attacked = await (ATTACKS[field] as Attack)(scene);
      run.mutations += 1;
      run.fields[field] = (run.fields[field] ?? 0) + 1;
      if (attacked.effects.length > 0) run.escaped.push(`seed ${seed}, mutation ${run.mutations}: ${field}`);
      attacked.effects.length = 0;
    }
    await rig.call('pay', ARGS);
    if (rig.effects.length === 1) run.control += 1;
  }
  return run;
}
