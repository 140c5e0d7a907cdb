// Owns the proof of approvals through the door: asked, answered, used once, refused, expired, bound.
import { describe, expect, test } from 'vitest';
import type { Delivery } from '../../../src/kernel/approvals/approval.ts';
import * as checks from '../../attack/checks.ts';
import { verifies } from '../../e2e/verifies.ts';
import {
  APPROVE,
  approved,
  CALLER,
  CANARY,
  createRig,
  expectStatus,
  PERSON,
  REJECT,
  SESSION,
} from '../rig.ts';
import type { Rig } from '../rig.ts';
import { capability, pay, sampleConfig } from '../sample-config.ts';

const SESSION_CHAIN = { tenant: 'local', aggregate: 'session', id: SESSION } as const;

async function ask(rig: Rig, args: unknown = { amount: 5 }): Promise<string> {
  return expectStatus(await rig.call('pay', args), 'waiting_approval').approval.subject.approvalId;
}

function approvalRecords(rig: Rig, id: string): Promise<string[]> {
  return rig.store
    .read({ tenant: 'local', aggregate: 'approval', id })
    .then((records) => records.map((one) => one.header.type));
}

describe('an approval', () => {
  verifies(
    ['AP-01'],
    'is asked for with its id, reasons and exact input kept, and nothing runs',
    async () => {
      const rig = createRig();
      const args = { amount: 5, to: 'a', deep: [1, { x: null }] };
      const result = expectStatus(await rig.call('pay', args, { toolCallId: 'call_p' }), 'waiting_approval');
      const { subject } = result.approval;
      expect(result.decision).toMatchObject({ verdict: 'approval_required', policyDigest: 'sha256:policy' });
      expect(result.decision.reasons).not.toHaveLength(0);
      expect(await rig.store.row('request', 'local', 'call_p')).toMatchObject({ status: 'waiting_approval' });
      expect(subject).toMatchObject({
        tenant: 'local',
        principal: 'os:1000',
        sessionId: SESSION,
        runId: 'run_1',
        callId: 'call_p',
        tool: 'pay',
        arguments: args,
        policyDigest: 'sha256:policy',
        answerBy: rig.clock.now() + 900_000,
      });
      expect(subject.approvalId).toMatch(/^apr_[a-z0-9]{20,}$/);
      const chain = { tenant: 'local', aggregate: 'approval', id: subject.approvalId } as const;
      expect(await rig.store.unseal(chain, 1)).toMatchObject({ value: { args } });
      expect(await rig.kernel.shownApproval('local', subject.approvalId)).toContain('"amount"'.slice(1, -1));
      expect((await rig.records()).map((one) => one.header.type)).toEqual(['call_waiting']);
      expect(rig.effects).toHaveLength(0);
      // Nothing can be answered under another name or another tenant.
      for (const [id, tenant] of [
        ['approval-request-missing', 'local'],
        [subject.approvalId, 'other'],
      ] as const) {
        const answer = rig.kernel.deliver({ ...PERSON, tenant }, id, APPROVE);
        await expect(answer).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
    },
  );

  verifies(
    ['AP-03'],
    'lets the exact call run once, without asking again; the next one asks anew',
    async () => {
      await checks.approvalRunsOnce(createRig);
      const rig = createRig();
      const same = { toolCallId: 'call_one' };
      const waiting = expectStatus(await rig.call('pay', { amount: 5 }, same), 'waiting_approval');
      await rig.kernel.deliver(PERSON, waiting.approval.subject.approvalId, APPROVE, CALLER.actor);
      expect((await rig.call('pay', { amount: 5 }, same)).status).toBe('done');
      expect(await rig.call('pay', { amount: 5 }, same)).toMatchObject({ outcome: { replayed: true } });
      expect(rig.effects.map((one) => one.args)).toEqual([{ amount: 5 }]);
    },
  );

  verifies(
    { partial: ['AP-16', 'AP-02'] },
    'leaves who, when, how and why on its chain, and its id in the run',
    async () => {
      const rig = createRig();
      const id = await ask(rig);
      rig.clock.advance(7000);
      await rig.kernel.deliver(PERSON, id, { ...APPROVE, note: 'ok by me' } as Delivery, CALLER.actor);
      await rig.call('pay', { amount: 5 });
      const records = await rig.store.read({ tenant: 'local', aggregate: 'approval', id });
      expect(records.map((one) => one.header.type)).toEqual([
        'approval_requested',
        'approval_delivered',
        'approval_approved',
        'approval_consumed',
      ]);
      expect(records[2]?.evidence).toMatchObject({
        value: {
          by: { principal: 'os:1000', attestation: 'client', channel: 'elicitation' },
          note: 'ok by me',
        },
      });
      expect(records[2]?.header.at).toBe(rig.clock.now());
      const run = await rig.records();
      expect(run.map((one) => one.header.type)).toEqual(['call_waiting', 'call_started', 'call_finished']);
      expect(run[1]?.evidence).toMatchObject({ value: { approval_id: id } });
    },
  );

  verifies(
    ['AP-07'],
    'leaves pending once; a second answer and an unknown id have their own messages',
    async () => {
      for (const [first, second] of [
        [APPROVE, REJECT],
        [REJECT, APPROVE],
        [APPROVE, APPROVE],
      ] as const) {
        const rig = createRig();
        const id = await ask(rig);
        const both = await Promise.all([
          rig.kernel.deliver(PERSON, id, first),
          rig.kernel.deliver(PERSON, id, second),
        ]);
        expect(both.filter((one) => one.moved)).toHaveLength(1);
        const late = await rig.kernel.deliver(PERSON, id, second);
        expect(late).toMatchObject({ moved: false, why: `Approval request is not pending: ${id}` });
        const moves = (await approvalRecords(rig, id)).filter((type) => /approved|rejected/.test(type));
        expect(moves).toHaveLength(1);
      }
      const unknown = createRig().kernel.deliver(PERSON, 'apr_unknown', APPROVE);
      await expect(unknown).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: 'Approval request not found: apr_unknown',
      });
    },
  );

  test('is answered with a note that is kept without the secrets in it', async () => {
    const rig = createRig();
    for (const [amount, reaction] of [APPROVE, REJECT].entries()) {
      const id = await ask(rig, { amount });
      const note = `not with ${CANARY} \ud83d`;
      const made = await rig.kernel.deliver(PERSON, id, { ...reaction, note } as Delivery);
      expect(made.moved).toBe(true);
      const chain = { tenant: 'local', aggregate: 'approval', id } as const;
      const answer = (await rig.store.read(chain)).at(-1);
      expect(answer?.evidence).toMatchObject({ value: { note: 'not with [REDACTED] \ufffd' } });
    }
    await rig.call('pay', { amount: 1 });
    expect(await checks.readable(rig)).not.toContain(CANARY);
  });

  test('that is rejected denies the call that asked, and any equal one until the question would have ended', async () => {
    const rig = createRig();
    const asker = { toolCallId: 'call_asker' };
    const asked = expectStatus(await rig.call('pay', { amount: 5 }, asker), 'waiting_approval');
    const id = asked.approval.subject.approvalId;
    await rig.kernel.deliver(PERSON, id, { ...REJECT, note: 'too much' } as Delivery, CALLER.actor);
    for (let n = 0; n < 2; n++) {
      const denied = expectStatus(await rig.call('pay', { amount: 5 }), 'denied');
      expect(denied.decision.reasons[0]).toContain('too much');
    }
    expect((await rig.call('pay', { amount: 6 })).status).toBe('waiting_approval');
    rig.clock.advance(900_000);
    await approved(rig, 'pay', { amount: 5 });
    const told = expectStatus(await rig.call('pay', { amount: 5 }, asker), 'denied');
    expect(told.decision.reasons[0]).toContain('too much');
    expect(rig.effects).toHaveLength(0);
    expect((await rig.call('pay', { amount: 5 })).status).toBe('done');
  });

  verifies(
    { partial: ['AP-17'] },
    'is moved by an answer only; a client that gave none is not asked again, others are',
    async () => {
      await checks.onlyAnAnswerMoves(createRig);
      const rig = createRig();
      const id = await ask(rig);
      await rig.kernel.deliver(PERSON, id, { kind: 'declined_by_client', latencyMs: 3000 }, CALLER.actor);
      const { context } = rig.request('pay', {});
      const other = { context: { ...context, caller: { ...CALLER, actor: 'stdio:2' } } };
      const elsewhere = expectStatus(await rig.call('pay', { amount: 5 }, other), 'waiting_approval');
      expect(elsewhere.askable).toBe(true);
      expect(elsewhere.approval.subject.approvalId).toBe(id);
    },
  );

  verifies(['AP-13'], 'expires on both clocks and is never used or answered afterwards', () =>
    checks.expiryHolds(createRig),
  );

  test('that ends between being found and being spent is asked for anew, without an error', async () => {
    const rig = createRig({
      wrapApprovals: (inner) => ({
        ...inner,
        async standing(tenant, digest, now) {
          const held = await inner.standing(tenant, digest, now);
          if (held?.approval.state === 'approved') rig.clock.advance(300_000);
          return held;
        },
      }),
    });
    await approved(rig, 'pay', { amount: 5 });
    expect((await rig.call('pay', { amount: 5 })).status).toBe('waiting_approval');
    expect(rig.effects).toHaveLength(0);
  });

  test('that was answered too weakly stays pending', async () => {
    const big = capability('big', { mode: 'write', risk: 'high', approval: { approver: 'principal' } });
    const config = sampleConfig({
      capabilities: [big, pay],
      policy: { registry: { allowed: ['big', 'pay'], denied: [] } },
    });
    const rig = createRig({ config });
    const waiting = expectStatus(await rig.call('big', {}), 'waiting_approval');
    const id = waiting.approval.subject.approvalId;
    const weak = await rig.kernel.deliver(PERSON, id, APPROVE, CALLER.actor);
    expect(weak).toMatchObject({ moved: false, approval: { state: 'pending' } });
    expect((await rig.call('big', {})).status).toBe('waiting_approval');
    const strong = { ...PERSON, attestation: 'same_user', channel: 'terminal' } as const;
    expect((await rig.kernel.deliver(strong, id, APPROVE)).moved).toBe(true);
    expect((await rig.call('big', {})).status).toBe('done');
    expect(rig.effects).toHaveLength(1);
  });

  verifies({ partial: ['AP-11'] }, 'that waits holds up nothing else', async () => {
    const rig = createRig();
    await ask(rig);
    expect((await rig.call('note', {})).status).toBe('done');
    expect((await rig.call('look', {})).status).toBe('done');
  });

  test('is at most one for one digest, also when a hundred calls ask at once', () =>
    checks.atMostOneOpenApproval(createRig));

  verifies(
    { partial: ['AP-04'] },
    'is found, listed and answered by another process over the same store',
    async () => {
      const first = createRig({ idSeed: 'first', instance: 'i1' });
      const id = await ask(first);
      const second = createRig({ idSeed: 'second', instance: 'i2', store: first.store, clock: first.clock });
      const listed = await second.store.list({
        kind: 'approval',
        tenant: 'local',
        status: 'pending',
        limit: 10,
      });
      expect(listed.items.map((one) => one.id)).toEqual([id]);
      expect((await second.kernel.deliver(PERSON, id, APPROVE)).moved).toBe(true);
      expect((await second.call('pay', { amount: 5 })).status).toBe('done');
      expect((await first.call('pay', { amount: 5 })).status).toBe('waiting_approval');
      expect(first.effects.length + second.effects.length).toBe(1);
    },
  );
});

describe('what an approval is bound to', () => {
  verifies(
    ['AP-12'],
    'arguments, policy and pin: a change of any asks anew, and the old one is not used',
    async () => {
      await checks.otherArgumentsAskAnew(createRig);
      const rig = createRig();
      await approved(rig, 'pay', { amount: 5 });
      rig.pins.set('pay', { state: 'declared', digest: 'sha256:changed' });
      expect((await rig.call('pay', { amount: 5 })).status).toBe('waiting_approval');
      rig.pins.set('pay', { state: 'quarantined', reason: 'definition changed' });
      expect((await rig.call('pay', { amount: 5 })).status).toBe('denied');
      const policy = { digest: 'sha256:policy-2' };
      const next = createRig({
        config: sampleConfig({ policy }),
        store: rig.store,
        clock: rig.clock,
        idSeed: 'next',
      });
      expect((await next.call('pay', { amount: 5 })).status).toBe('waiting_approval');
      rig.pins.clear();
      expect((await rig.call('pay', { amount: 5 })).status).toBe('done');
      expect(rig.effects.length + next.effects.length).toBe(1);
    },
  );

  verifies(
    { partial: ['PO-20'] },
    'an approval never meets a deny: policy is decided again when it is used',
    async () => {
      const rig = createRig();
      await approved(rig, 'pay', { amount: 5 });
      const deny = {
        id: 'stop',
        tools: ['pay'],
        decision: 'deny',
        reason: 'frozen',
        onDeny: 'tell_model',
        rememberable: false,
      } as const;
      // Even one with the same digest, as after an edit that forgot to change it.
      const config = sampleConfig();
      config.policy.workspace.rules.push({ ...deny, tools: [...deny.tools] });
      const now = createRig({ config, store: rig.store, clock: rig.clock, idSeed: 'now' });
      expect((await now.call('pay', { amount: 5 })).status).toBe('denied');
      expect(now.effects).toHaveLength(0);
    },
  );

  test('the digests are recomputed when it is used: a row that points at another approval gives nothing', async () => {
    const rig = createRig();
    await approved(rig, 'pay', { amount: 5 });
    // The digest of the other call, from a store of its own.
    const other = createRig({ clock: rig.clock });
    const wanted = expectStatus(await other.call('pay', { amount: 5000 }), 'waiting_approval').approval
      .subject;
    const rows = await rig.store.list({ kind: 'approval', tenant: 'local', limit: 10 });
    for (const { version: _, ...row } of rows.items) {
      await rig.store.commit({
        rows: [{ row: { ...row, ref: wanted.actionDigest, updatedAt: row.updatedAt + 1 } }],
      });
    }
    expect((await rig.call('pay', { amount: 5000 })).status).toBe('waiting_approval');
    expect(rig.effects).toHaveLength(0);
  });
});

describe('secrets', () => {
  const SECRET = 'pa/ss+word=42&never~told';
  const bytes = Buffer.from(SECRET);
  const everyByte = [...bytes].map((one) => `%${one.toString(16).padStart(2, '0')}`).join('');
  const base64 = (before: string): string => Buffer.from(`${before}${SECRET} tail`).toString('base64');
  const spellings: Record<string, string> = {
    raw: `x${SECRET}y`,
    'base64 at 0': base64(''),
    'base64 at 1': base64('a'),
    'base64 at 2': base64('ab'),
    base64url: Buffer.from(`abc${SECRET}`).toString('base64url'),
    percent: `https://h.test/?q=${encodeURIComponent(SECRET)}`,
    'percent in lower case': encodeURIComponent(SECRET).toLowerCase(),
    'percent, every byte': everyByte,
    hex: bytes.toString('hex'),
    'hex in upper case': bytes.toString('hex').toUpperCase(),
  };

  for (const [name, text] of Object.entries(spellings)) {
    test(`spelled ${name} are in no record and no row, and reach the tool exactly`, async () => {
      const rig = createRig({ secrets: [SECRET] });
      const args = { text, nested: { list: ['a', { text }] } };
      await approved(rig, 'pay', args);
      rig.tool.run = () =>
        Promise.resolve({ kind: 'result', content: [{ type: 'text', text }], isError: false, notes: [] });
      await rig.call('pay', args);
      await rig.call('forbidden', args);
      expect(rig.effects[0]?.args).toEqual(args);
      const all = await checks.readable(rig);
      expect(all).not.toContain(JSON.stringify(text).slice(1, -1));
      const start = (await rig.records()).find((one) => one.header.type === 'call_started');
      const sealed = await rig.store.unseal(SESSION_CHAIN, start?.header.seq ?? 0);
      expect(sealed).toMatchObject({ value: { args } });
    });
  }

  test('are in no key, no error, no attempt, no note, no cut and no reason', async () => {
    await checks.secretsStaySealed(createRig);
    const rig = createRig({ secrets: [SECRET] });
    rig.tool.run = () =>
      Promise.resolve({
        kind: 'failed',
        code: 'DOWNSTREAM_UNAVAILABLE',
        message: `${'m'.repeat(290)}${SECRET}`,
        sideEffect: 'not_executed',
        notes: [`stderr: ${SECRET}`],
      });
    await rig.call('note', { [SECRET]: { password: 'x' } });
    rig.tool.run = () =>
      Promise.resolve({
        kind: 'result',
        content: [{ type: 'text', text: `${'r'.repeat(1990)}${SECRET}` }],
        isError: false,
        notes: [],
      });
    await rig.call('note', { n: 2 });
    await rig.call('look', { url: `https://evil.test/${SECRET}` });
    const all = await checks.readable(rig);
    expect(all).not.toContain(SECRET);
    expect(all).not.toContain(SECRET.slice(0, 9)); // what a cut would leave
  });
});
