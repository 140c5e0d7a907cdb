// A connection that is lost: each cause, each policy, and what may be repeated.
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { CapabilitySessionControls } from '../../src/config/types.ts';
import type { ExecutionResult, Reply } from '../../src/kernel/execution/executor.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, probe, server, until } from './fixtures.ts';
import type { Bench } from './fixtures.ts';
import { httpRelay } from './http-relay.ts';
import type { HttpRelay } from './http-relay.ts';

const RELAY = fileURLToPath(new URL('../matrix/relay-server.mjs', import.meta.url));

async function rows(bench: Bench): Promise<JsonObject[]> {
  const { items } = await bench.store.list({ kind: 'capability_session', tenant: 't', limit: 10 });
  // What continues another stands before it, whichever was written last.
  const all = items.map(({ status, body }): JsonObject => ({ ...body, status }));
  return all.sort((a, b) => Number('endedAt' in a) - Number('endedAt' in b));
}

function failed(result: ExecutionResult): ExecutionResult & { kind: 'failed' } {
  if (result.kind !== 'failed') throw new Error('it did not fail');
  return result;
}

async function withHttp(
  args: string[],
  over: Partial<CapabilitySessionControls>,
  use: (bench: Bench, relay: HttpRelay) => Promise<void>,
): Promise<void> {
  const relay = await httpRelay(...args);
  const bench = createBench([relay.server({ era: 'legacy' })], process.env, systemClock, over);
  try {
    await use(bench, relay);
  } finally {
    await bench.end();
    await relay.close();
  }
}

describe.each([
  ['404', 'http_404'],
  ['400', 'http_400_stale'],
])('a server that answers %s to a session it no longer knows', (status, cause) => {
  verifies(
    { partial: ['CS-06', 'CS-07', 'CS-10'] },
    `${status}: the call did not run, another session continues the old, and one token is offered`,
    async () => {
      await withHttp(['--stale', status], {}, async (bench, relay) => {
        await bench.call('relay:echo', { text: 'a' });
        await relay.forget();
        const result = failed(await bench.call('relay:echo', { text: 'b' }));
        const [next, old] = await rows(bench);
        const ids = [next, old].map((one) => (one?.['subject'] as JsonObject)['id']);
        expect(result).toMatchObject({
          code: 'CAPABILITY_SESSION_EXPIRED',
          sideEffect: 'not_executed',
          expiry: { expiredId: ids[1], nextId: ids[0], cause, resumed: ['connection'], retry: ['call_1'] },
        });
        expect(old).toMatchObject({ status: 'expired', cause, reinitializedAs: ids[0] });
        expect(next).toMatchObject({ status: 'resumable', subject: { reinitializedFrom: ids[1] } });
        const token = result.expiry?.resumeToken ?? '';
        const use = { tenant: 't', principal: 'p', callId: 'call_1', runId: 'run_1' };
        await expect(bench.ledger.spend(token, { ...use, principal: 'q' })).rejects.toThrow();
        await expect(bench.ledger.spend(token, use)).resolves.toMatchObject({ status: 'in_progress' });
        await expect(bench.ledger.spend(token, use)).rejects.toThrow();
        expect(await bench.call('relay:echo', { text: 'b' })).toMatchObject({ kind: 'result' });
      });
    },
  );

  test(`${status}: with the policy cancel it is over, and the next call begins anew`, async () => {
    await withHttp(['--stale', status], { onExpiry: 'cancel' }, async (bench, relay) => {
      await bench.call('relay:echo', { text: 'a' });
      await relay.forget();
      const result = failed(await bench.call('relay:echo', { text: 'b' }));
      expect(result).toMatchObject({ code: 'CANCELED', sideEffect: 'not_executed' });
      expect(result.expiry).toMatchObject({ resumed: [], retry: [] });
      expect(result.expiry?.resumeToken).toBeUndefined();
      expect(await rows(bench)).toMatchObject([{ status: 'canceled', cause }]);
      expect(await bench.call('relay:echo', { text: 'c' })).toMatchObject({ kind: 'result' });
      const [fresh] = await rows(bench);
      expect((fresh?.['subject'] as JsonObject)['reinitializedFrom']).toBeUndefined();
    });
  });

  test(`${status}: where a person has to agree, nothing is built until one has`, async () => {
    await withHttp(['--stale', status], { reinitRequiresApproval: true }, async (bench, relay) => {
      await bench.call('relay:echo', { text: 'a' });
      await relay.forget();
      const result = failed(await bench.call('relay:echo', { text: 'b' }));
      expect(result.expiry).toMatchObject({ resumed: [], retry: ['call_1'] });
      expect(result.expiry?.nextId).toBeUndefined();
      expect(await rows(bench)).toMatchObject([{ status: 'reinitialize_required', cause }]);
      const again = failed(await bench.call('relay:echo', { text: 'b' }));
      expect(again).toMatchObject({ code: 'CAPABILITY_SESSION_EXPIRED', sideEffect: 'not_executed' });
      for (const approved of [{}, { reinitializes: 'cap_other' }]) {
        const other = failed(await bench.call('relay:echo', { text: 'b' }, { execution: { approved } }));
        expect(other).toMatchObject({ code: 'CAPABILITY_SESSION_EXPIRED' });
      }
      const approved = { reinitializes: result.expiry?.expiredId ?? '' };
      const agreed = await bench.call('relay:echo', { text: 'b' }, { execution: { approved } });
      expect(agreed).toMatchObject({ kind: 'result' });
      expect(await rows(bench)).toMatchObject([{ status: 'in_progress' }, { status: 'expired' }]);
    });
  });
});

test('a child that dies in a call leaves its effect unknown, without a token', async () => {
  const bench = createBench([probe()]);
  try {
    const result = failed(await bench.call('probe:crash'));
    expect(result).toMatchObject({ sideEffect: 'side_effect_unknown' });
    expect(result.expiry).toBeUndefined();
    await until(() => bench.sandbox.live() === 0);
    expect(await bench.call('probe:echo', { text: 'a' })).toMatchObject({ kind: 'result' });
    const [next, old] = await rows(bench);
    expect(old).toMatchObject({ status: 'expired', cause: 'child_ended' });
    expect((next?.['subject'] as JsonObject)['reinitializedFrom']).toBe(
      (old?.['subject'] as JsonObject)['id'],
    );
  } finally {
    await bench.end();
  }
});

test('a question that is open when its server dies is said to be lost', async () => {
  const relay = await httpRelay();
  const bench = createBench([relay.server({ era: 'legacy' })]);
  try {
    let isAsked = false;
    const asking = bench.call(
      'relay:ask',
      {},
      {
        ask: () => {
          isAsked = true;
          return new Promise(() => undefined);
        },
      },
    );
    await until(() => isAsked);
    await relay.kill();
    expect(await asking).toMatchObject({ kind: 'failed', sideEffect: 'side_effect_unknown' });
  } finally {
    await bench.end();
    await relay.close();
  }
});

test('a server that is gone when the answer is brought to it may have done its work before it asked', async () => {
  const relay = await httpRelay();
  const bench = createBench([relay.server({ era: 'modern' })]);
  try {
    const ask = async (): Promise<Reply> => {
      await relay.kill();
      return { action: 'decline' };
    };
    expect(await bench.call('relay:ask', {}, { ask })).toMatchObject({
      kind: 'failed',
      sideEffect: 'side_effect_unknown',
    });
  } finally {
    await bench.end();
    await relay.close();
  }
});

test('headers come from the environment, and nothing of a caller is among them', async () => {
  const relay = await httpRelay();
  const one = relay.server({
    headers: { authorization: { fromEnv: 'RELAY_TOKEN', prefix: 'Bearer ' }, 'x-team': { value: 'tests' } },
  });
  const bench = createBench([one], { ...process.env, RELAY_TOKEN: 's3cret' });
  try {
    await bench.call('relay:echo', { text: 'a' });
    expect(await relay.headers()).toMatchObject({ authorization: 'Bearer s3cret', 'x-team': 'tests' });
    expect(JSON.stringify(await rows(bench))).not.toContain('s3cret');
  } finally {
    await bench.end();
    await relay.close();
  }
});

test('an idle connection is ended, and the next call continues it in another', async () => {
  const bench = createBench([probe()], process.env, systemClock, {}, { idleMs: 50 });
  try {
    await bench.call('probe:echo', { text: 'a' });
    await until(() => bench.sandbox.live() === 0);
    expect(await bench.call('probe:echo', { text: 'b' })).toMatchObject({ kind: 'result' });
    expect(await rows(bench)).toMatchObject([
      { status: 'in_progress' },
      { status: 'expired', cause: 'idle_limit' },
    ]);
  } finally {
    await bench.end();
  }
});

describe('a person who does not answer for as long as a run may wait', () => {
  const policies: [string, Partial<CapabilitySessionControls>, string][] = [
    ['reinitialize', {}, 'reinitialize_required'],
    ['approval', { reinitRequiresApproval: true }, 'reinitialize_required'],
    ['cancel', { onExpiry: 'cancel' }, 'canceled'],
  ];
  test.each(policies)('under the policy %s', async (policy, over, status) => {
    const relay = server('relay', [RELAY], { era: 'legacy' });
    const bench = createBench([relay], process.env, systemClock, over, { maxWaitMs: 60 });
    try {
      const ask = (): Promise<Reply> => new Promise(() => undefined);
      const result = await bench.call('relay:ask', {}, { ask });
      // The server heard a cancel and answered: what it did is known.
      expect(result).toMatchObject({ kind: 'result', notes: [expect.stringContaining('max_wait')] });
      await until(() => bench.sandbox.live() === 0);
      await bench.settled();
      const [old] = await rows(bench);
      expect(old).toMatchObject({ status, cause: 'max_wait' });
      const next = await bench.call('relay:echo', { text: 'a' });
      if (policy === 'approval') {
        expect(next).toMatchObject({ code: 'CAPABILITY_SESSION_EXPIRED', expiry: { cause: 'max_wait' } });
        return;
      }
      expect(next).toMatchObject({ kind: 'result' });
      const [fresh] = await rows(bench);
      const from = policy === 'cancel' ? undefined : (old?.['subject'] as JsonObject)['id'];
      expect((fresh?.['subject'] as JsonObject)['reinitializedFrom']).toBe(from);
    } finally {
      await bench.end();
    }
  });

  test('questions of one call share the time, and one that comes later is shown to nobody', async () => {
    const relay = server('relay', [RELAY], { era: 'legacy' });
    const bench = createBench([relay], process.env, systemClock, {}, { maxWaitMs: 60 });
    try {
      let asked = 0;
      const ask = (): Promise<Reply> => {
        asked++;
        return new Promise(() => undefined);
      };
      await bench.call('relay:ask_twice', {}, { ask });
      expect(asked).toBe(1);
    } finally {
      await bench.end();
    }
  });
});

test('a session of a process that is gone is lost, with its open questions', async () => {
  const bench = createBench([probe()]);
  try {
    const poolKey = bench.downstreams.poolKey('probe', { tenant: 't', principal: 'p' }) ?? '';
    const subject = { tenant: 't', principal: 'p', server: 'probe', transport: 'stdio' as const };
    const dead = await bench.ledger.open(
      { ...subject, owner: 'o', poolKey, policyDigest: 'd', instance: 'inst_dead' },
      { runId: 'run_0', traceId: 'x' },
      1000,
    );
    const key = { tenant: 't', id: dead.subject.id };
    const input = {
      inputId: 'inp_1',
      callId: 'c',
      runId: 'run_0',
      mode: 'form' as const,
      askedAt: 1,
      openUntil: 2,
    };
    const run = { runId: 'run_0', traceId: 'x' };
    await bench.ledger.move(key, { type: 'capability_input_requested', input, run, at: 1 });
    expect(await bench.call('probe:echo', { text: 'a' })).toMatchObject({ kind: 'result' });
    const events = await bench.store.read({ ...key, aggregate: 'capability_session' });
    expect(events.map(({ header }) => header.type)).toEqual([
      'capability_session_opened',
      'capability_input_requested',
      'capability_session_lost',
      'capability_session_reinitialized',
    ]);
    expect(events[2]?.evidence).toMatchObject({
      value: {
        cause: 'host_gone',
        lost_inputs: [{ input_id: 'inp_1', tool_call_id: 'c' }],
        signal_owner: 'capability_runtime',
      },
    });
    expect(await rows(bench)).toMatchObject([{ status: 'in_progress' }, { cause: 'host_gone' }]);
  } finally {
    await bench.end();
  }
});
