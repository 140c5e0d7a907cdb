// Capability sessions over a store: rows that equal the fold of their chain, tokens that count once and for one.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../../src/base/errors.ts';
import type {
  CapabilityEvent,
  CapabilitySession,
} from '../../../src/capabilities/sessions/capability-session.ts';
import { createLedger } from '../../../src/capabilities/sessions/ledger.ts';
import type { Ledger } from '../../../src/capabilities/sessions/ledger.ts';
import { foldSession } from './fold.ts';
import { createMemoryStore } from '../../../src/store/memory/memory-store.ts';
import type { Store } from '../../../src/store/contract.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { createFixedIds } from '../../../src/testing/fixed-ids.ts';
import { verifies } from '../../e2e/verifies.ts';

const RUN = { runId: 'run_1', traceId: 'f'.repeat(32) };
const SUBJECT = {
  tenant: 't',
  principal: 'p',
  server: 'probe',
  transport: 'stdio' as const,
  owner: 'agent_platform',
  poolKey: 'pool',
  policyDigest: 'sha256:policy',
  instance: 'inst_1',
};

interface Rig {
  store: Store;
  clock: ReturnType<typeof createFakeClock>;
  ledger: Ledger;
  session: CapabilitySession;
  key: { tenant: string; id: string };
}

async function rig(): Promise<Rig> {
  const store = createMemoryStore();
  const clock = createFakeClock();
  const ledger = createLedger({ store, clock, ids: createFixedIds() });
  const session = await ledger.open(SUBJECT, RUN, 60_000);
  return { store, clock, ledger, session, key: { tenant: 't', id: session.subject.id } };
}

async function fold({ store, key }: Rig): Promise<CapabilitySession | undefined> {
  const records = await store.read({ ...key, aggregate: 'capability_session' });
  const events = records.map(({ evidence }) => (evidence.state === 'present' ? evidence.value : {}));
  // A note has no type of its own: it moves nothing.
  return foldSession(events.filter((one) => 'type' in one) as unknown as CapabilityEvent[]);
}

test('the row is the fold of the chain, after every change', async () => {
  const made = await rig();
  const { ledger, key, clock } = made;
  const changes: CapabilityEvent[] = [
    { type: 'capability_approval_awaited', approvalId: 'apr_1', run: RUN, expiresAt: 9, at: clock.now() },
    { type: 'capability_approval_decided', approvalId: 'apr_1', decided: 'approved', at: clock.now() },
    { type: 'capability_session_lost', cause: 'child_ended', then: 'reinitialize', at: clock.now() },
  ];
  for (const change of changes) {
    await ledger.move(key, change);
    const held = await ledger.get('t', key.id);
    expect(held?.session).toEqual(await fold(made));
    await ledger.note(key, 'capability_progress_reported', { items: [1] });
    expect((await ledger.get('t', key.id))?.session).toEqual(await fold(made));
  }
});

test('changes made at once all count', async () => {
  const made = await rig();
  const { ledger, key, clock } = made;
  await Promise.all(
    Array.from({ length: 8 }, (_, at) =>
      ledger.move(key, {
        type: 'capability_approval_awaited',
        approvalId: `apr_${at}`,
        run: RUN,
        expiresAt: 9,
        at: clock.now(),
      }),
    ),
  );
  const held = await ledger.get('t', key.id);
  expect(held?.session.approvals).toHaveLength(8);
  expect(held?.session).toEqual(await fold(made));
});

verifies(
  { partial: ['CS-12'] },
  'a resume token is unguessable, counts once, and for one run, call and principal',
  async () => {
    const made = await rig();
    const { ledger, key, clock, store } = made;
    const offer = { runId: 'run_1', callId: 'call_1', until: clock.now() + 1000 };
    const token = (await ledger.offer(key, offer))!;
    expect(token).toMatch(/^cap_[0-9a-z]{26}\.[A-Za-z0-9_-]{43}$/);
    const written = JSON.stringify([
      await store.read({ ...key, aggregate: 'capability_session' }),
      await store.row('capability_session', 't', key.id),
    ]);
    expect(written).not.toContain(token.split('.')[1]);

    const right = { tenant: 't', principal: 'p', runId: 'run_1', callId: 'call_1' };
    const refused = async (text: string, use: Partial<typeof right>): Promise<unknown> =>
      ledger.spend(text, { ...right, ...use }).then(
        () => 'taken',
        (thrown: unknown) => thrown,
      );
    const last = token.endsWith('A') ? 'B' : 'A';
    const wrong = await Promise.all([
      refused('nonsense', {}),
      refused(`${token.slice(0, -1)}${last}`, {}),
      refused(token, { principal: 'other' }),
      refused(token, { tenant: 'other' }),
      refused(token, { runId: 'run_2' }),
      refused(token, { callId: 'call_2' }),
    ]);
    for (const one of wrong) {
      expect(one).toBeInstanceOf(RuntimeError);
      expect((one as RuntimeError).view()).toEqual((wrong[0] as RuntimeError).view());
    }
    const both = await Promise.all([refused(token, {}), refused(token, {})]);
    expect(both.filter((one) => one === 'taken')).toHaveLength(1);
    expect(await refused(token, {})).toBeInstanceOf(RuntimeError);

    const late = (await ledger.offer(key, offer))!;
    clock.advance(1000);
    expect(await refused(late, {})).toBeInstanceOf(RuntimeError);
  },
);

test('a newer token takes the place of the older', async () => {
  const { ledger, key, clock } = await rig();
  const offer = { runId: 'run_1', callId: 'call_1', until: clock.now() + 1000 };
  const first = (await ledger.offer(key, offer))!;
  const second = (await ledger.offer(key, offer))!;
  const use = { tenant: 't', principal: 'p', runId: 'run_1', callId: 'call_1' };
  await expect(ledger.spend(first, use)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(ledger.spend(second, use)).resolves.toMatchObject({ status: 'in_progress' });
});
