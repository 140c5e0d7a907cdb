// An approval and the capability session of the call that waits for it: each move of the one is a move of the other, in
// one commit or in none.
import { describe, expect, test } from 'vitest';
import type { CapabilitySession } from '../../../src/capabilities/sessions/capability-session.ts';
import { decidedCompanion, sessionCompanion } from '../../../src/capabilities/sessions/approval-companion.ts';
import { createLedger } from '../../../src/capabilities/sessions/ledger.ts';
import type { Ledger } from '../../../src/capabilities/sessions/ledger.ts';
import { LiveSessions } from '../../../src/capabilities/sessions/live.ts';
import type { ApprovalSubject } from '../../../src/kernel/approvals/approval.ts';
import { createApprovals } from '../../../src/kernel/approvals/approvals.ts';
import type { Approvals } from '../../../src/kernel/approvals/approvals.ts';
import { NO_DELEGATION } from '../../../src/kernel/identity.ts';
import type { Commit, Store } from '../../../src/store/contract.ts';
import { createMemoryStore } from '../../../src/store/memory/memory-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../../src/testing/fixed-ids.ts';
import { verifies } from '../../e2e/verifies.ts';
import { PERSON } from '../../kernel/rig.ts';
import { sampleConfig } from '../../kernel/sample-config.ts';
import { probe } from '../fixtures.ts';

const WHO = { tenant: 'local', principal: 'os:1000' };
const RUN = { runId: 'run_1', traceId: 'trace_1' };

interface Rig {
  store: Store;
  clock: FakeClock;
  ledger: Ledger;
  approvals: Approvals;
  sessions: LiveSessions;
  /** Every commit that changed an approval or a session, as `kind:status` of its rows. */
  commits: string[][];
  /** Runs once, before the next commit. */
  before: { next?: (() => Promise<unknown>) | undefined };
  open(id?: string): Promise<void>;
  answer(decision: 'approve' | 'reject', id?: string): Promise<boolean>;
  session(): Promise<CapabilitySession>;
}

function watched(store: Store, commits: string[][], before: Rig['before']): Store {
  return {
    ...Object.fromEntries(
      ['read', 'scan', 'list', 'row', 'counter', 'unseal'].map((name) => [
        name,
        (...args: unknown[]) =>
          (store as unknown as Record<string, (...all: unknown[]) => unknown>)[name]!(...args),
      ]),
    ),
    async commit(commit: Commit) {
      const first = before.next;
      before.next = undefined;
      await first?.();
      const done = await store.commit(commit);
      const rows = (commit.rows ?? []).map(({ row }) => `${row.kind}:${row.status}`);
      if (done.ok && rows.length > 0) commits.push(rows.sort());
      return done;
    },
  } as unknown as Store;
}

function subject(approvalId: string, at: number): Omit<ApprovalSubject, 'shownDigest'> {
  return {
    ...{
      approvalId,
      ...WHO,
      actor: 'a',
      agentId: 'g',
      delegation: NO_DELEGATION,
      sessionId: 'ses_1',
      ...RUN,
    },
    ...{ callId: `call_${approvalId}`, tool: 'probe:echo', capability: 'echo', risk: 'low' },
    ...{
      actionDigest: `digest-${approvalId}`,
      policyDigest: 'p',
      reasons: [],
      ruleId: 'r',
      approver: 'principal',
    },
    ...{ requiredAttestation: 'client', rememberable: false, requestedAt: at, answerBy: at + 1000 },
    ...{ useWithinMs: 500, arguments: {} },
  };
}

function rig(instance = 'inst_1', shared?: Pick<Rig, 'store' | 'clock'>): Rig {
  const commits: string[][] = [];
  const before: Rig['before'] = {};
  const store = shared?.store ?? createMemoryStore();
  const clock = shared?.clock ?? createFakeClock();
  const given = watched(store, commits, before);
  const ledger = createLedger({ store: given, clock, ids: createFixedIds(instance) });
  const sessions = new LiveSessions({
    redact: (text) => text,
    ledger,
    clock,
    controls: sampleConfig().controls.capabilitySessions,
    owner: 'tests',
    instance,
    policyDigest: 'policy',
    isAlive: async () => false,
  });
  const approvals = createApprovals(
    given,
    sessionCompanion(sessions, { probe: probe() }, () => 'pool'),
  );
  return {
    ...{ store, clock, ledger, approvals, sessions, commits, before },
    async open(id = 'apr_1') {
      const commit = await approvals.opening(subject(id, clock.now()), {}, 'probe');
      expect((await given.commit(commit)).ok).toBe(true);
    },
    async answer(decision, id = 'apr_1') {
      const delivery = { kind: 'answered', decision, latencyMs: 5000 } as const;
      return (await approvals.deliver({ ...PERSON, ...WHO }, id, { delivery, at: clock.now() })).moved;
    },
    async session() {
      const { items } = await store.list({ kind: 'capability_session', tenant: WHO.tenant, limit: 5 });
      expect(items).toHaveLength(1);
      return items[0]!.body as unknown as CapabilitySession;
    },
  };
}

/** A session whose connection is there. */
async function connected(made: Rig): Promise<void> {
  const { ledger, clock } = made;
  await made.open('apr_0');
  await made.answer('approve', 'apr_0');
  const { subject: of } = await made.session();
  const at = clock.now();
  await ledger.move(of, {
    ...{ type: 'capability_session_connected', instance: 'inst_1', run: RUN, expiresAt: at + 900, at },
  });
  made.commits.length = 0;
}

verifies(['CS-09'], 'every move of an approval is the same move of its session, in one commit', async () => {
  const moves: [string, (made: Rig) => Promise<unknown>, string, string][] = [
    ['approved', (made) => made.answer('approve'), 'in_progress', 'approved'],
    ['rejected', (made) => made.answer('reject'), 'in_progress', 'rejected'],
    [
      'expired',
      async (made) => {
        made.clock.advance(1000);
        await made.approvals.get('local', 'apr_1', made.clock.now());
      },
      'in_progress',
      'expired',
    ],
    [
      'revoked',
      async ({ approvals, clock, store, commits }) => {
        const commit = (await approvals.revoking('local', ['apr_1'], { reason: 'r', at: clock.now() }))!;
        expect((await store.commit(commit)).ok).toBe(true);
        commits.push((commit.rows ?? []).map(({ row }) => `${row.kind}:${row.status}`).sort());
      },
      'in_progress',
      'revoked',
    ],
  ];
  for (const [state, move, status, approvalState] of moves) {
    const made = rig();
    await connected(made);
    await made.open();
    expect(await made.session()).toMatchObject({ status: 'waiting_for_approval', approvalState: 'pending' });
    await move(made);
    expect(await made.session(), state).toMatchObject({ status, approvalState, approvals: [] });
    expect(made.commits, state).toEqual([
      ['approval:pending', 'capability_session:waiting_for_approval'],
      [`approval:${state}`, `capability_session:${status}`],
    ]);
  }
});

test('somebody moves the session between looking and writing: the answer is written once, with the newer session', async () => {
  const made = rig();
  await connected(made);
  await made.open();
  const { subject: of } = await made.session();
  const to = { runId: 'run_1', callId: 'call_9', until: made.clock.now() + 1000 };
  made.before.next = () => made.ledger.offer(of, to);
  expect(await made.answer('approve')).toBe(true);
  expect(await made.session()).toMatchObject({ status: 'resumable', approvalState: 'approved' });
  const held = await made.approvals.get('local', 'apr_1', made.clock.now());
  expect(held?.approval.state).toBe('approved');
});

test('with a store that refuses, neither moves', async () => {
  const made = rig();
  await connected(made);
  await made.open();
  made.before.next = () => Promise.reject(new Error('the disk is full'));
  await expect(made.answer('reject')).rejects.toThrow('the disk is full');
  expect(await made.session()).toMatchObject({ status: 'waiting_for_approval', approvalState: 'pending' });
  const held = await made.approvals.get('local', 'apr_1', made.clock.now());
  expect(held?.approval.state).toBe('pending');
});

test('the one of two that is left open keeps the session waiting', async () => {
  const made = rig();
  await connected(made);
  await made.open('apr_1');
  await made.open('apr_2');
  await made.answer('approve', 'apr_1');
  expect(await made.session()).toMatchObject({ status: 'waiting_for_approval', approvalState: 'pending' });
  await made.answer('reject', 'apr_2');
  expect(await made.session()).toMatchObject({ status: 'in_progress', approvalState: 'rejected' });
});

test('both of two are taken back in one commit, and the session waits no longer', async () => {
  const made = rig();
  await connected(made);
  await made.open('apr_1');
  await made.open('apr_2');
  const { approvals, clock, store } = made;
  const commit = (await approvals.revoking('local', ['apr_1', 'apr_2', 'apr_none'], {
    reason: 'r',
    at: clock.now(),
  }))!;
  expect((await store.commit(commit)).ok).toBe(true);
  expect(await made.session()).toMatchObject({
    ...{ status: 'in_progress', approvalState: 'revoked', approvals: [] },
  });
  for (const id of ['apr_1', 'apr_2'])
    expect((await approvals.get('local', id, clock.now()))?.approval.state).toBe('revoked');
});

test('what was approved and never used expires on the session too', async () => {
  const made = rig();
  await connected(made);
  await made.open();
  await made.answer('approve');
  made.clock.advance(500);
  await made.approvals.settle('local', made.clock.now());
  expect(await made.session()).toMatchObject({ status: 'in_progress', approvalState: 'expired' });
});

test('a session that ended while it waited is told the decision, and stays ended', async () => {
  const made = rig();
  await connected(made);
  await made.open();
  const { subject: of } = await made.session();
  const at = made.clock.now();
  await made.ledger.move(of, { type: 'capability_session_completed', reason: 'closed', at });
  expect(await made.session()).toMatchObject({ status: 'completed', approvalState: 'pending' });
  await made.answer('approve');
  expect(await made.session()).toMatchObject({
    status: 'completed',
    approvalState: 'approved',
    approvals: [],
  });
});

describe('a session that was opened for an approval', () => {
  test.each([
    ['reject', 'canceled', 'rejected'],
    ['expire', 'expired', 'expired'],
  ])('%s: it ends, since nothing will connect it', async (how, status, approvalState) => {
    const made = rig();
    await made.open();
    expect(await made.session()).toMatchObject({ status: 'waiting_for_approval', planned: true });
    if (how === 'reject') await made.answer('reject');
    made.clock.advance(1000);
    await made.approvals.settle('local', made.clock.now());
    expect(await made.session()).toMatchObject({ status, approvalState });
  });

  test('a decision by whoever only answers moves both', async () => {
    const made = rig();
    await made.open();
    const { store, clock, ledger } = made;
    const elsewhere = createApprovals(store, decidedCompanion(ledger));
    const delivery = { kind: 'answered', decision: 'approve', latencyMs: 5000 } as const;
    await elsewhere.deliver({ ...PERSON, ...WHO }, 'apr_1', { delivery, at: clock.now() });
    expect(await made.session()).toMatchObject({ status: 'in_progress', approvalState: 'approved' });
  });

  test('a second approval waits on the same one, also from another process', async () => {
    const made = rig();
    await made.open('apr_1');
    await rig('inst_2', made).open('apr_2');
    expect(await made.session()).toMatchObject({ approvals: ['apr_1', 'apr_2'] });
  });
});

test('an approval of a call on no server opens no session', async () => {
  const made = rig();
  const commit = await made.approvals.opening(subject('apr_1', made.clock.now()), {});
  expect(commit.rows?.map(({ row }) => row.kind)).toEqual(['approval']);
});
