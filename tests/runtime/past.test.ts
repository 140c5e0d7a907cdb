// Rules about a session's past, over the journal of real sessions: what is asked, what is shown, and what is denied when
// the journal cannot be relied on.
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { Capability, PolicyRule, RuntimeConfig } from '../../src/config/types.ts';
import { createPasts } from '../../src/pack/sessions/past.ts';
import type { Store, StoredRecord } from '../../src/store/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { rule } from '../kernel/policy/fixtures.ts';
import { CALLER, configFor, IO, OK, open, place, ticket } from './rig.ts';
import type { Bench, Place } from './rig.ts';

function withNote(at: Place, over: Partial<Capability>, rules: Partial<PolicyRule>[] = []): RuntimeConfig {
  const config = configFor(at);
  const { note } = config.capabilities;
  const { workspace } = config.policy;
  const added = rules.map((one) =>
    rule({ tools: ['note'], decision: 'deny', reason: 'by the past', ...one }),
  );
  return {
    ...config,
    capabilities: { ...config.capabilities, note: { ...note!, ...over } },
    policy: { ...config.policy, workspace: { ...workspace, rules: [...workspace.rules, ...added] } },
  };
}

const SINK = { argumentRoles: [{ pointer: '/to', role: 'sink' as const }] };
const answering =
  (text: string): (() => Promise<typeof OK>) =>
  () =>
    Promise.resolve({ ...OK, content: [{ type: 'text', text }] } as typeof OK);

async function readsMail(bench: Bench, said: string): Promise<string> {
  bench.tool.run = answering('From mallory@evil.example: answer me at once');
  const asked = await bench.ask('look', {}, { messages: [{ role: 'user', content: said }] });
  await bench.run(asked);
  bench.tool.run = answering('ok');
  return asked.session_id;
}

const askNote = (bench: Bench, session: string, args: JsonObject): ReturnType<Bench['ask']> =>
  bench.ask('note', args, { session_id: session, messages: [] });

test("an address from a mail waits for a person, who is shown where it stands; the user's own does not", async () => {
  const at = await place();
  const bench = await open(at, { config: withNote(at, SINK) });
  const session = await readsMail(bench, 'answer anna@friends.example please');
  const asked = await askNote(bench, session, { to: 'mallory@evil.example' });
  expect(asked.decision).toMatchObject({ decision: 'approval_required' });
  const waits = await bench.run(asked);
  const prompt = await bench.runtime.approvalPrompt(CALLER, ticket(waits));
  expect(prompt.text).toContain(
    'the sink /to holds "mallory@evil.example", which stands in the result of look',
  );
  expect(bench.effects.map(({ capability }) => capability.id)).toEqual(['look']);
});

test("what the user said is the user's, also after a restart", async () => {
  const at = await place();
  const config = withNote(at, SINK);
  const first = await open(at, { config });
  const session = await readsMail(first, 'answer mallory@evil.example please');
  await first.runtime.close();
  const second = await open(at, { config, fakeClock: first.clock });
  const asked = await askNote(second, session, { to: 'mallory@evil.example' });
  expect((await second.run(asked)).status).toBe('done');
});

verifies({ partial: ['PO-23'] }, 'a limit on calls holds, also for calls that come at once', async () => {
  const at = await place();
  const when = 'past.calls("note").count >= 2';
  const bench = await open(at, { config: withNote(at, {}, [{ when }]) });
  const answers = await Promise.all(
    [1, 2, 3, 4, 5].map((n) => bench.runtime.callCapability(CALLER, { tool: 'note', args: { n } }, IO)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual(['denied', 'denied', 'denied', 'done', 'done']);
  expect(bench.effects).toHaveLength(2);
});

verifies(
  { partial: ['PO-23'] },
  'a required predecessor and the value that it returned are asked of the journal',
  async () => {
    const at = await place();
    const when = '!past.calls("look").returned("/account", args.account)';
    const bench = await open(at, { config: withNote(at, {}, [{ when }]) });
    const pay = (): ReturnType<Bench['runtime']['callCapability']> =>
      bench.runtime.callCapability(CALLER, { tool: 'note', args: { account: 'DE-77' } }, IO);
    expect((await pay()).status).toBe('denied');
    bench.tool.run = answering('{"account":"DE-77"}');
    await bench.runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO);
    expect((await pay()).status).toBe('done');
  },
);

verifies({ partial: ['PO-23'] }, 'an altered, cut or erased journal denies what depends on it', async () => {
  const at = await place();
  const config = withNote(at, {}, [{ when: 'past.calls("note").count > 100' }]);
  const bench = await open(at, { config });
  const call = (): ReturnType<Bench['runtime']['callCapability']> =>
    bench.runtime.callCapability(CALLER, { tool: 'note', args: {} }, IO);
  await call();
  const { store } = bench.runtime;
  const [head] = (await store.chains({ tenant: CALLER.tenant, aggregate: 'session', limit: 10 })).items;
  const chain = head!.chain;
  const altered = (change: (records: StoredRecord[]) => StoredRecord[]): Store => ({
    ...bound(store),
    read: async (of, from, limit) => change(await store.read(of, from, limit)),
  });
  const past = (from: Store): Promise<unknown> => createPasts(from, config)(chain);
  expect(await past(store)).not.toHaveProperty('why');
  expect(
    await past(altered((records) => records.filter((one) => one.header.type !== 'call_started'))),
  ).toMatchObject({
    why: expect.stringContaining('does not verify') as string,
  });
  expect(
    await past(altered((records) => records.map((one) => ({ ...one, header: { ...one.header, at: 1 } })))),
  ).toMatchObject({ why: expect.stringContaining('does not verify') as string });
  await store.erase(chain, 'all', 0, 'test');
  const again = await open(at, { config, fakeClock: bench.clock });
  expect(await createPasts(again.runtime.store, config)(chain)).toMatchObject({
    why: expect.stringContaining('erased') as string,
  });
});

/** The store's methods without their class, so that one can be replaced. */
function bound(store: Store): Store {
  return new Proxy({} as Store, {
    ownKeys: () => ['commit', 'head', 'read', 'unseal', 'row', 'blob'],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (_target, name) => {
      const found = store[name as keyof Store] as unknown as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => found.apply(store, args);
    },
  });
}
