// Owns the proof that the checks can see: each known bug is planted in the kernel through its own ports, and the check
// that is green on the real kernel must fail on it. Nothing of ours is mocked; the ports are wrapped.
import { describe, expect, test } from 'vitest';
import type { Approvals } from '../../src/kernel/approvals/approvals.ts';
import { foldApproval } from '../../src/kernel/approvals/transition.ts';
import type { ApprovalEvent } from '../../src/kernel/approvals/approval.ts';
import type { Commit, Store } from '../../src/store/contract.ts';
import { createRig } from '../kernel/rig.ts';
import type { MakeRig, RigOptions } from '../kernel/rig.ts';
import * as checks from './checks.ts';
import type { Check } from './checks.ts';
import { runBinding } from './run-binding.ts';
import { runRaces } from './run-races.ts';

/** A kernel with one bug: the given wrappers lie closest to the kernel, around those of the check itself. */
function planted(bug: RigOptions): MakeRig {
  return (options = {}) => {
    const { wrapStore, wrapApprovals } = bug;
    const ownStore = options.wrapStore;
    const ownApprovals = options.wrapApprovals;
    return createRig({
      ...options,
      ...bug,
      wrapStore: (store) => {
        const inner = ownStore?.(store) ?? store;
        return wrapStore?.(inner) ?? inner;
      },
      wrapApprovals: (approvals, store) => {
        const inner = ownApprovals?.(approvals, store) ?? approvals;
        return wrapApprovals?.(inner, store) ?? inner;
      },
    });
  };
}

function changed(change: (commit: Commit) => Commit): RigOptions {
  return { wrapStore: (store) => ({ ...store, commit: (commit) => store.commit(change(commit)) }) };
}

function approvalsThat(wrap: (inner: Approvals, store: Store) => Partial<Approvals>): RigOptions {
  return { wrapApprovals: (inner, store) => ({ ...inner, ...wrap(inner, store) }) };
}

async function anyApproved(store: Store, tenant: string, ref?: string): ReturnType<Approvals['standing']> {
  const which = ref === undefined ? {} : { ref };
  const page = await store.list({ kind: 'approval', tenant, status: 'approved', limit: 1, ...which });
  const id = page.items[0]?.id;
  if (id === undefined) return undefined;
  const records = await store.read({ tenant, aggregate: 'approval', id });
  const events = records.flatMap((one) =>
    one.evidence.state === 'present' ? [one.evidence.value as unknown as ApprovalEvent] : [],
  );
  const approval = foldApproval(events);
  return approval === undefined ? undefined : { approval, seq: records.length };
}

const binding: Check = async (make) => {
  expect((await runBinding({ seed: 3, mutations: 200, make })).escaped).toEqual([]);
};
const races: Check = async (make) => {
  expect((await runRaces({ seed: 5, races: 36, make })).violations).toEqual([]);
};

const notOf = (types: string[]) => (one: { type: string }) => !types.includes(one.type);

const ignoresDigest = approvalsThat((inner, store) => ({
  standing: async (tenant, digest, now) =>
    (await anyApproved(store, tenant)) ?? inner.standing(tenant, digest, now),
}));
const trustsRows = approvalsThat((inner, store) => ({
  standing: async (tenant, digest, now) =>
    (await anyApproved(store, tenant, digest)) ?? inner.standing(tenant, digest, now),
}));
const noConflicts = changed((commit) => {
  const appends = (commit.appends ?? []).map((one) => ({ ...one, when: { epoch: 0 } }));
  return { ...commit, appends };
});
const noRowConditions = changed((commit) => ({
  ...commit,
  rows: (commit.rows ?? []).map(({ row }) => ({ row })),
}));

const BUGS: readonly [name: string, bug: RigOptions, caughtBy: Check[]][] = [
  [
    'the spent approval is left out of the start commit',
    changed((commit) => ({
      ...commit,
      appends: (commit.appends ?? []).filter(notOf(['approval_consumed'])),
      rows: (commit.rows ?? []).filter(({ row }) => row.kind !== 'approval' || row.status !== 'consumed'),
    })),
    [checks.approvalRunsOnce, checks.racingConsumersRunOnce, races],
  ],
  ['appends are not compared with the head', noConflicts, [checks.racingConsumersRunOnce, races]],
  [
    'rows have no conditions',
    noRowConditions,
    [checks.sameCallIdRunsOnce, checks.orphansAreSettledOnce, checks.idempotentKeyHasOneEffect],
  ],
  [
    'guards are dropped',
    changed(({ guards: _, ...commit }) => commit),
    [checks.freezeBetweenIsSeen, checks.atMostOneOpenApproval],
  ],
  [
    'counters have no maximum',
    changed((commit) => ({
      ...commit,
      counters: (commit.counters ?? []).map(({ key, add }) => ({ key, add })),
    })),
    [checks.cycleHoldsInParallel, checks.budgetHoldsInParallel],
  ],
  [
    'expiry is ignored',
    approvalsThat((inner) => ({
      standing: (tenant, digest) => inner.standing(tenant, digest, 0),
      deliver: (who, id, attempt) => inner.deliver(who, id, { ...attempt, at: 0 }),
    })),
    [checks.expiryHolds],
  ],
  ['any approval will do', ignoresDigest, [checks.otherArgumentsAskAnew, binding]],
  [
    'a deny is taken for an allow',
    { wrapGate: (gate) => ({ ...gate, decide: (input) => allowed(gate.decide(input)) }) },
    [checks.denyHasNoEffect, checks.otherArgumentsAskAnew],
  ],
  [
    'nothing is redacted',
    { redactor: { object: (value) => ({ value, fields: [] }), text: (value) => value } },
    [checks.secretsStaySealed],
  ],
  [
    'a commit is acknowledged before it is made',
    { wrapStore: acknowledgedEarly },
    [checks.startIsDurableBeforeEffect, checks.noRecordNoEffect],
  ],
  [
    'a decline counts as consent',
    approvalsThat((inner) => ({
      deliver: (who, id, attempt) =>
        inner.deliver(who, id, {
          ...attempt,
          delivery: { kind: 'answered', decision: 'approve', latencyMs: 4000 },
        }),
    })),
    [checks.onlyAnAnswerMoves],
  ],
  [
    'every other process is taken for dead',
    { isAlive: () => Promise.resolve(false) },
    [checks.orphansAreSettledOnce],
  ],
  [
    'an unknown outcome is recorded as free to try again',
    changed((commit) => ({
      ...commit,
      rows: (commit.rows ?? []).map((write) =>
        write.row.status === 'unknown' ? { ...write, row: { ...write.row, status: 'denied' } } : write,
      ),
    })),
    [checks.unknownIsNeverRepeated],
  ],
  ['what an approval is for is read from its row', trustsRows, [binding]],
];

function allowed<T extends { verdict: string }>(decision: T): T {
  return { ...decision, verdict: 'allow' };
}

/** Says yes at once, and commits when the event loop comes round. */
function acknowledgedEarly(store: Store): Store {
  return {
    ...store,
    commit: (commit) => {
      setImmediate(() => void store.commit(commit).catch(() => undefined));
      const heads = (commit.appends ?? []).map(({ chain }) => ({ chain, seq: 1, hash: '' }));
      return Promise.resolve({ ok: true, heads, counters: new Map<string, number>() });
    },
  };
}

describe('the checks', () => {
  for (const [name, check] of Object.entries(checks.everyCheck)) {
    test(`${name} is green on the real kernel`, () => check(createRig));
  }
});

describe('a planted bug', () => {
  for (const [name, bug, caughtBy] of BUGS) {
    for (const check of caughtBy) {
      test(`is found: ${name} (${check.name})`, async () => {
        const failure = await check(planted(bug)).then(
          () => undefined,
          (error: unknown) => error as Error,
        );
        // Found by the check itself, not by the kernel stumbling over the wrapper.
        expect(['AssertionError', 'Error']).toContain(failure?.name);
      });
    }
  }

  test('seams are real: an unbroken wrapper changes nothing', async () => {
    const plain = planted({ ...changed((commit) => commit), ...approvalsThat(() => ({})) });
    for (const check of Object.values(checks.everyCheck)) await check(plain);
  });
});
