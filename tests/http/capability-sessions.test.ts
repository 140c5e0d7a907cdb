// Updates of a capability session over both protocol eras: told to who may read it, as often as it changed, and to nobody
// else.
import { expect } from 'vitest';
import { createLedger } from '../../src/capabilities/sessions/ledger.ts';
import type { Ledger, SessionKey } from '../../src/capabilities/sessions/ledger.ts';
import { inspectItem } from '../../src/inspect/inspect.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { createFixedIds } from '../../src/testing/fixed-ids.ts';
import { verifies } from '../e2e/verifies.ts';
import {
  ALICE,
  ALICE_TOKEN,
  ask,
  BOB_TOKEN,
  head,
  modern,
  openSession,
  raw,
  request,
  serve,
  until,
} from './rig.ts';
import type { Serving } from './rig.ts';

const RUN = { runId: 'run_1', traceId: 'trace_1' };

interface Place {
  at: Serving;
  ledger: Ledger;
  key: SessionKey;
  uri: string;
}

/** One capability session of Alice's, read by whoever asks as that caller. */
async function place(): Promise<Place> {
  const at = await serve();
  const store = createMemoryStore();
  const ledger = createLedger({ store, clock: at.clock, ids: createFixedIds('cap') });
  at.runtime.inspect = async (caller, kind, id) => {
    if (kind === 'capability') throw new Error('not here');
    return { ...(await inspectItem({ store, now: at.clock.now() }, caller, kind, id)), kind };
  };
  const { tenant, principal } = ALICE;
  const { subject } = await ledger.open(
    {
      ...{ tenant, principal, server: 's', transport: 'stdio', owner: 'o', poolKey: 'k' },
      ...{ policyDigest: 'd', instance: 'i' },
    },
    RUN,
    900_000,
  );
  return { at, ledger, key: { tenant, id: subject.id }, uri: `agent://capability-sessions/${subject.id}` };
}

async function change({ at, ledger, key }: Place, approvalId: string): Promise<void> {
  const now = at.clock.now();
  await ledger.move(key, {
    ...{ type: 'capability_approval_awaited', approvalId, run: RUN, expiresAt: now + 1000, at: now },
  });
  at.clock.advance(1000);
}

async function listen({ at, uri }: Place, token: string): Promise<{ ack: unknown; came: () => string }> {
  const { headers, body } = modern('subscriptions/listen', {
    notifications: { resourceSubscriptions: [uri] },
  });
  const stream = await raw(at.port);
  let came = '';
  stream.socket.on('data', (text) => (came += String(text)));
  const text = JSON.stringify(body);
  const own = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value ?? ''}`);
  const type = ['Content-Type: application/json', `Content-Length: ${text.length}`];
  stream.write(head(at.port, [`Authorization: Bearer ${token}`, ...own, ...type]) + text);
  const answer = await stream.until('acknowledged');
  const ack = JSON.parse(/data: (.+)/.exec(answer)?.[1] ?? '{}') as { params: { notifications: object } };
  return { ack: ack.params.notifications, came: () => came };
}

async function session(at: Serving, token: string): Promise<{ sessionId: string; came: () => string }> {
  const sessionId = await openSession(at, token);
  const stream = await raw(at.port);
  let came = '';
  stream.socket.on('data', (text) => (came += String(text)));
  const own = [`Authorization: Bearer ${token}`, `Mcp-Session-Id: ${sessionId}`];
  stream.write(head(at.port, ['Accept: text/event-stream', ...own], 'GET /mcp HTTP/1.1'));
  await stream.until('\r\n\r\n');
  return { sessionId, came: () => came };
}

function updates(came: string): number {
  return came.split('notifications/resources/updated').length - 1;
}

verifies(
  { partial: ['CS-10'] },
  'legacy: its owner is told each change of a capability session, nobody else',
  async () => {
    const made = await place();
    const { at, uri } = made;
    const alice = await session(at, ALICE_TOKEN);
    const bob = await session(at, BOB_TOKEN);
    const body = request('resources/subscribe', { uri });
    const absent = request('resources/subscribe', {
      uri: `agent://capability-sessions/cap_${'0'.repeat(26)}`,
    });
    expect((await ask(at, { ...alice, body })).body.result).toEqual({});
    const refused = await ask(at, { ...bob, token: BOB_TOKEN, body });
    const never = await ask(at, { ...bob, token: BOB_TOKEN, body: absent });
    expect(refused.body.error).toBeDefined();
    const blind = (text: unknown): string => JSON.stringify(text).replaceAll(/cap_[0-9a-z]{26}/g, 'ID');
    expect(blind(refused.body)).toBe(blind(never.body));
    for (const count of [1, 2]) {
      await change(made, `apr_${count}`);
      await until(() => updates(alice.came()) === count);
    }
    expect(at.server.counts).toMatchObject({ subscriptions: 1, updates: 2 });
    expect(updates(bob.came())).toBe(0);
  },
);

verifies(
  { partial: ['CS-10'] },
  'modern: its owner is told each change of a capability session, nobody else',
  async () => {
    const made = await place();
    const alice = await listen(made, ALICE_TOKEN);
    const bob = await listen(made, BOB_TOKEN);
    expect(alice.ack).toEqual({ resourceSubscriptions: [made.uri] });
    expect(JSON.stringify(bob.ack)).not.toContain(made.key.id);
    for (const count of [1, 2]) {
      await change(made, `apr_${count}`);
      await until(() => updates(alice.came()) === count);
    }
    expect(made.at.server.counts).toMatchObject({ subscriptions: 1, updates: 2 });
    expect(updates(bob.came())).toBe(0);
  },
);
