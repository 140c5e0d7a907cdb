// A payment whose rules all look back: what the session's verified records allow, and that without them nothing runs.
import { join } from 'node:path';
import Database from 'libsql';
import { expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { PolicyRule, RuntimeConfig } from '../../src/config/types.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { rule } from '../kernel/policy/fixtures.ts';
import { createRig } from '../kernel/rig.ts';
import { APPROVE, CALLER, configFor, IO, OK, open, PERSON, place, ticket } from './rig.ts';
import type { Bench, Place } from './rig.ts';

/** Only to an account that was looked up, at most 50 in all, and beyond 20 with a person's word. */
const RULES: Partial<PolicyRule>[] = [
  { when: '!past.calls("look").returned("/account", args.account)', reason: 'not looked up' },
  { when: 'past.calls("note").sum("/amount") + args.amount > 50.0', reason: 'more than 50' },
  {
    when: 'past.calls("note").sum("/amount") + args.amount > 20.0',
    reason: 'more than 20',
    decision: 'approval_required',
    approver: 'principal',
  },
];

function paying(at: Place): RuntimeConfig {
  const config = configFor(at);
  const { workspace } = config.policy;
  const rules = RULES.map((one, index) =>
    rule({ id: `p${index}`, tools: ['note'], decision: 'deny', ...one }),
  );
  return {
    ...config,
    policy: { ...config.policy, workspace: { ...workspace, rules: [...workspace.rules, ...rules] } },
  };
}

interface Payer {
  bench: Bench;
  session: string;
  look(): Promise<CallAnswer>;
  asks(amount: number, account?: string): ReturnType<Bench['ask']>;
  pays(amount: number, account?: string): Promise<CallAnswer>;
  paid(): unknown[];
}

/** A session that pays; with `before`, the same session in the process that comes after it. */
async function payer(at: Place, before?: Payer): Promise<Payer> {
  const clock = before === undefined ? {} : { fakeClock: before.bench.clock };
  const bench = await open(at, { config: paying(at), ...clock });
  bench.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text: '{"account":"DE-77"}' }] });
  const session = before?.session ?? (await bench.turn()).session_id;
  const ask = (tool: string, args: JsonObject): ReturnType<Bench['ask']> =>
    bench.ask(tool, args, { session_id: session, messages: [{ role: 'user', content: 'go on' }] });
  const asks: Payer['asks'] = (amount, account = 'DE-77') => ask('note', { amount, account });
  return {
    bench,
    session,
    asks,
    look: async () => bench.run(await ask('look', {})),
    pays: async (amount, account) => bench.run(await asks(amount, account)),
    paid: () =>
      bench.effects.filter(({ capability }) => capability.id === 'note').map(({ args }) => args['amount']),
  };
}

/** Changes the state file behind the back of whoever has it open. */
function tamper(at: Place, sql: string): void {
  const db = new Database(join(at.workspace, '.agent-runtime', 'runtime.db'));
  db.exec(sql);
  db.close();
}

const denial = (reason: string): object => ({ status: 'denied', decision: { reasons: [reason] } });

async function expectRules(): Promise<void> {
  const { bench, look, asks, pays, paid } = await payer(await place());
  expect(await pays(5)).toMatchObject(denial('not looked up'));
  expect((await look()).status).toBe('done');
  expect(await pays(5, 'DE-78')).toMatchObject(denial('not looked up'));
  expect((await pays(15)).status).toBe('done');

  const asked = await asks(10);
  const waits = await bench.run(asked);
  expect(waits.decision.reasons).toEqual(['more than 20']);
  expect(await bench.run(asked)).toMatchObject({ status: 'approval_required' });
  expect(paid()).toEqual([15]);
  expect((await bench.runtime.deliverApproval(PERSON, ticket(waits), APPROVE)).moved).toBe(true);
  expect(await bench.run(asked)).toMatchObject({ status: 'done', result: { replayed: false } });
  expect(await bench.run(asked)).toMatchObject({ status: 'done', result: { replayed: true } });
  expect(paid()).toEqual([15, 10]);

  expect((await pays(10)).status).toBe('approval_required'); // a person's word was for one payment
  expect(await pays(26)).toMatchObject({
    status: 'denied',
    decision: { reasons: ['more than 50', 'more than 20'] },
  });
  expect(paid()).toEqual([15, 10]);
}

/** Of calls at once, each decided by the same past, only those run that the limit still allows when they start. */
async function expectNotStale(): Promise<void> {
  const at = await place();
  const { bench, paid } = await payer(at);
  const call = (tool: string, args: JsonObject): Promise<CallAnswer> =>
    bench.runtime.callCapability(CALLER, { tool, args }, IO);
  await call('look', {});
  const amounts = [6, 7, 8, 9];
  const answers = await Promise.all(amounts.map((amount) => call('note', { amount, account: 'DE-77' })));
  const ran = answers.filter(({ status }) => status === 'done');
  expect(ran.length).toBeGreaterThan(0);
  expect(answers.length - ran.length).toBeGreaterThan(0);
  const sum = paid().reduce<number>((total, amount) => total + Number(amount), 0);
  expect(sum).toBeLessThanOrEqual(20);

  const chain = `(SELECT cid FROM chains WHERE id = '${answers[0]?.session_id ?? ''}')`;
  tamper(at, `DELETE FROM records WHERE cid = ${chain} AND seq > 3`);
  const before = bench.effects.length;
  await expect(call('note', { amount: 1, account: 'DE-77' })).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
  });
  expect(bench.effects).toHaveLength(before);
}

/** What an approved payment answers in a new process, once the records that its rules need are not what they were. */
async function afterDamage(sql: string): Promise<unknown> {
  const at = await place();
  const before = await payer(at);
  await before.look();
  await before.pays(15);
  const asked = await before.asks(10);
  const waits = await before.bench.run(asked);
  await before.bench.runtime.deliverApproval(PERSON, ticket(waits), APPROVE);
  await before.bench.runtime.close();
  tamper(at, sql);
  const after = await payer(at, before);
  const answer = await after.bench.run(asked).catch((error: unknown) => error);
  expect(after.paid(), sql).toEqual(sql === '' ? [10] : []);
  return answer;
}

async function expectClosed(): Promise<void> {
  const unable = (why: string): object => {
    const reason = expect.stringMatching(`the session's past cannot be relied on: ${why}`) as unknown;
    return { status: 'denied', decision: { rule_id: 'capability_rule', reasons: [reason, reason, reason] } };
  };
  const ofResult = `WHERE json_extract(header, '$.type') = 'call_finished'`;
  expect(await afterDamage('')).toMatchObject({ status: 'done' });
  const altered = await afterDamage(`UPDATE records SET evidence = '{}' ${ofResult}`);
  expect(altered).toMatchObject(unable('record \\d+ of its journal does not verify'));
  const lost = unable('record \\d+ of its journal was erased or cannot be opened');
  const garbled = await afterDamage(`UPDATE records SET sealed = x'0102' ${ofResult}`);
  expect(garbled).toMatchObject(lost);
  const erased = await afterDamage(
    `UPDATE records SET salt = NULL, evidence = NULL, sealed = NULL ${ofResult}`,
  );
  expect(erased).toMatchObject(lost);
  const missing = await afterDamage(`DELETE FROM records ${ofResult}`);
  expect(missing).toMatchObject({ code: 'STORE_CORRUPT' });
  const another = `SET header = replace(header, '"epoch":', '"epoch":1') ${ofResult}`;
  expect(await afterDamage(`UPDATE records ${another}`)).toMatchObject({ code: 'STORE_CORRUPT' });

  const none = createRig({ config: paying(await place()) });
  const answer = await none.call('note', { amount: 1, account: 'DE-77' });
  expect(answer).toMatchObject({ status: 'denied', decision: { ruleId: 'capability_rule' } });
  expect(none.effects).toEqual([]);
}

verifies(
  ['PO-23'],
  'required predecessor, bound value, sum and approval hold over the verified past, and without it nothing runs',
  async () => {
    await expectRules();
    await expectNotStale();
    await expectClosed();
  },
);
