// Owns the proof that an approval whose time has passed is expired to every reader, and is recorded so once.
import { describe, expect, test } from 'vitest';
import type { CommitResult, Store } from '../../../src/store/contract.ts';
import { APPROVE, approved, createRig, expectStatus, PERSON, REJECT } from '../rig.ts';
import type { Rig } from '../rig.ts';

async function ask(rig: Rig, args: unknown): Promise<string> {
  return expectStatus(await rig.call('pay', args), 'waiting_approval').approval.subject.approvalId;
}

async function states(rig: Rig): Promise<Record<string, string>> {
  const page = await rig.store.list({ kind: 'approval', tenant: 'local', limit: 200 });
  return Object.fromEntries(page.items.map((row) => [row.id, row.status]));
}

function types(rig: Rig, id: string): Promise<string[]> {
  return rig.store
    .read({ tenant: 'local', aggregate: 'approval', id })
    .then((records) => records.map((one) => one.header.type));
}

const REFUSED: CommitResult = { ok: false, refused: 'row', kind: 'approval', id: 'x', version: 9 };

/** A store that takes no commit once it is told to. */
function stubborn(answer = (): Promise<CommitResult> => Promise.resolve(REFUSED)): {
  wrap: (store: Store) => Store;
  refuse: { now: boolean; commits: number };
} {
  const refuse = { now: false, commits: 0 };
  const wrap = (store: Store): Store => ({
    ...store,
    commit: (commit) => {
      if (!refuse.now) return store.commit(commit);
      refuse.commits += 1;
      return answer();
    },
  });
  return { wrap, refuse };
}

describe('an overdue approval', () => {
  test('is expired in every row after settling, unanswered or unused, and one in time is not', async () => {
    const rig = createRig();
    const unanswered = await ask(rig, { n: 1 });
    const unused = await approved(rig, 'pay', { n: 2 });
    rig.clock.advance(600_000);
    const inTime = await ask(rig, { n: 3 });
    rig.clock.advance(300_000);
    await rig.kernel.settleApprovals('local');
    expect(await states(rig)).toEqual({ [unanswered]: 'expired', [unused]: 'expired', [inTime]: 'pending' });
    await rig.kernel.settleApprovals('other');
  });

  test('is recorded once, whoever and how many come', async () => {
    const rig = createRig();
    const other = createRig({ store: rig.store, clock: rig.clock, idSeed: 'other' });
    const id = await ask(rig, {});
    rig.clock.advance(900_000);
    const readers = [rig, other, rig, other].map(({ kernel }) =>
      Promise.all([kernel.settleApprovals('local'), kernel.approvalFor('local', id)]),
    );
    const seen = await Promise.all(readers);
    expect(seen.map(([, approval]) => approval?.state)).toEqual(['expired', 'expired', 'expired', 'expired']);
    expect(await types(rig, id)).toEqual(['approval_requested', 'approval_expired']);
  });

  test('is expired to a reader also where that cannot be recorded, and nobody can answer it', async () => {
    for (const failing of [undefined, () => Promise.reject(new Error('disk full'))]) {
      const { wrap, refuse } = stubborn(failing);
      const rig = createRig({ wrapStore: wrap });
      const id = await ask(rig, {});
      rig.clock.advance(900_000);
      refuse.now = true;
      expect((await rig.kernel.approvalFor('local', id))?.state).toBe('expired');
      await rig.kernel.settleApprovals('local');
      for (const answer of [APPROVE, REJECT]) {
        const { moved, approval } = await rig.kernel.deliver(PERSON, id, answer);
        expect([moved, approval.state]).toEqual([false, 'expired']);
      }
      refuse.now = false;
      await rig.kernel.settleApprovals('local');
      expect(await states(rig)).toEqual({ [id]: 'expired' });
    }
  });
});

test('an answer that a store refuses again and again ends in an error that says to try again', async () => {
  const { wrap, refuse } = stubborn();
  const rig = createRig({ wrapStore: wrap });
  const id = await ask(rig, {});
  refuse.now = true;
  const answer = rig.kernel.deliver(PERSON, id, APPROVE);
  await expect(answer).rejects.toMatchObject({ code: 'CONFLICT', retryable: true });
  expect(refuse.commits).toBeLessThan(20);
});
