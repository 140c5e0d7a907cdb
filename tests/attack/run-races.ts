// Owns the races: two of everything at the same approval, interleaved by a seed. Effects may never exceed approvals, and
// of two consumers exactly one runs.
import type { Store } from '../../src/store/contract.ts';
import { APPROVE, approved, createRig, expectStatus, PERSON, REJECT } from '../kernel/rig.ts';
import type { MakeRig, Rig } from '../kernel/rig.ts';
import { random } from './random.ts';
import type { Random } from './random.ts';

export interface RaceRun {
  races: number;
  kinds: Record<string, number>;
  /** How the races ended, so that a run in which nothing happened is seen. */
  effects: number;
  approvals: number;
  violations: string[];
}

/** Yields a seeded number of times around each operation, so that two users of one store interleave anew each time. */
function jittered(store: Store, by: Random): Store {
  const pause = async (): Promise<void> => {
    for (let n = by.below(4); n > 0; n--) await Promise.resolve();
  };
  const around = <A extends unknown[], R>(run: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      await pause();
      const result = await run(...args);
      await pause();
      return result;
    };
  };
  return {
    ...store,
    commit: around(store.commit),
    read: around(store.read),
    list: around(store.list),
    row: around(store.row),
    counter: around(store.counter),
  };
}

interface Ring {
  one: Rig;
  two: Rig;
  by: Random;
  args: { n: number };
}

interface Ended {
  effects: number;
  approvals: number;
  /** Exactly this many effects are right; absent: at most as many as approvals. */
  exactly?: number;
}

const NOTHING: Ended = { effects: 0, approvals: 0 };

type Race = (ring: Ring) => Promise<Ended>;

async function tryCall(rig: Rig, args: unknown): Promise<string> {
  try {
    return (await rig.call('pay', args)).status;
  } catch {
    return 'refused';
  }
}

async function approvalsOf({ one, args }: Ring): Promise<number> {
  const answered = await one.store.scan({ type: 'approval_approved', limit: 1000 });
  const asked = await one.store.scan({ type: 'approval_requested', limit: 1000 });
  const mine = new Set(
    asked
      .filter((record) => JSON.stringify(record.evidence).includes(`"arguments":${JSON.stringify(args)}`))
      .map((record) => record.header.chain.id),
  );
  return answered.filter((record) => mine.has(record.header.chain.id)).length;
}

async function ended(ring: Ring, exactly?: number): Promise<Ended> {
  const effects = [...ring.one.effects, ...ring.two.effects].filter((made) => made.args.n === ring.args.n);
  const counted = { effects: effects.length, approvals: await approvalsOf(ring) };
  return exactly === undefined ? counted : { ...counted, exactly };
}

async function open({ one, args }: Ring): Promise<string> {
  return expectStatus(await one.call('pay', args), 'waiting_approval').approval.subject.approvalId;
}

const RACES: Readonly<Record<string, Race>> = {
  async 'two consumers'(ring) {
    await approved(ring.one, 'pay', ring.args);
    await Promise.all([tryCall(ring.one, ring.args), tryCall(ring.two, ring.args)]);
    return ended(ring, 1);
  },
  async 'approve against reject'(ring) {
    const id = await open(ring);
    const answers = await Promise.all([
      ring.one.kernel.deliver(PERSON, id, APPROVE),
      ring.two.kernel.deliver(PERSON, id, REJECT),
      tryCall(ring.two, ring.args),
    ]);
    if (Number(answers[0].moved) + Number(answers[1].moved) !== 1)
      throw new Error('both answers or none moved it');
    await tryCall(ring.one, ring.args);
    return ended(ring, answers[0].moved ? 1 : 0);
  },
  async 'approve against expiry'(ring) {
    const id = await open(ring);
    ring.one.clock.advance(899_999);
    const answer = ring.one.kernel.deliver(PERSON, id, APPROVE);
    for (let n = ring.by.below(12); n > 0; n--) await Promise.resolve();
    ring.one.clock.advance(1);
    await Promise.all([answer, tryCall(ring.two, ring.args)]);
    await tryCall(ring.one, ring.args);
    return ended(ring);
  },
  async 'use against expiry'(ring) {
    await approved(ring.one, 'pay', ring.args);
    ring.one.clock.advance(299_999);
    const use = tryCall(ring.one, ring.args);
    for (let n = ring.by.below(40); n > 0; n--) await Promise.resolve();
    ring.one.clock.advance(1);
    await Promise.all([use, tryCall(ring.two, ring.args)]);
    return ended(ring);
  },
  async 'two answers'(ring) {
    const id = await open(ring);
    await Promise.all([
      ring.one.kernel.deliver(PERSON, id, APPROVE),
      ring.two.kernel.deliver({ ...PERSON, channel: 'terminal', attestation: 'same_user' }, id, APPROVE),
    ]);
    await Promise.all([tryCall(ring.one, ring.args), tryCall(ring.two, ring.args)]);
    return ended(ring, 1);
  },
  async 'replay after consumption'(ring) {
    await approved(ring.one, 'pay', ring.args);
    await tryCall(ring.two, ring.args);
    await Promise.all([tryCall(ring.one, ring.args), tryCall(ring.two, ring.args)]);
    return ended(ring, 1);
  },
};

// Fresh stores now and then keep the scans short.
const FRESH_EVERY = 18;

/** Runs that many races in this process, every kind in turn. */
export async function runRaces(options: { seed: number; races: number; make?: MakeRig }): Promise<RaceRun> {
  const { seed, races, make = createRig } = options;
  const by = random(seed);
  const run: RaceRun = { races: 0, kinds: {}, effects: 0, approvals: 0, violations: [] };
  const kinds = Object.keys(RACES);
  const wrapStore = (store: Store): Store => jittered(store, by);
  const isAlive = (): Promise<boolean> => Promise.resolve(true);
  let rigs: [Rig, Rig] | undefined;
  for (let n = 0; n < races; n++) {
    if (rigs === undefined || n % FRESH_EVERY === 0) {
      const one = make({ wrapStore, isAlive, idSeed: `a${n}`, instance: 'inst_a' });
      const shared = { wrapStore, isAlive, store: one.store, clock: one.clock };
      rigs = [one, make({ ...shared, idSeed: `b${n}`, instance: 'inst_b' })];
    }
    const [one, two] = rigs;
    const kind = kinds[n % kinds.length] ?? '';
    const where = `seed ${seed}, race ${n}: ${kind}`;
    run.races += 1;
    run.kinds[kind] = (run.kinds[kind] ?? 0) + 1;
    const end = await (RACES[kind] as Race)({ one, two, by, args: { n } }).catch((error: unknown) => {
      run.violations.push(`${where}: ${String(error)}`);
      return NOTHING;
    });
    run.effects += end.effects;
    run.approvals += end.approvals;
    if (end.effects > end.approvals)
      run.violations.push(`${where}: ${end.effects} effects of ${end.approvals}`);
    if (end.exactly !== undefined && end.effects !== end.exactly) {
      run.violations.push(`${where}: ${end.effects} effects, not ${end.exactly}`);
    }
  }
  return run;
}
