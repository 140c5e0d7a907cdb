// A configuration that is replaced while the runtime serves: what takes it, what refuses it, and what is left of the old.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type { Executor, Question } from '../../src/kernel/execution/executor.ts';
import type { PolicyRule, RuntimeConfig } from '../../src/config/types.ts';
import { digestsOf, readBook, requestReload } from '../../src/runtime/config-book.ts';
import type { BookParts, ServingProcess } from '../../src/runtime/config-book.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import type { Store } from '../../src/store/contract.ts';
import { APPROVE, CALLER, configFor, IO, OK, open, PERSON, place, says, ticket } from './rig.ts';
import type { Bench, OpenOptions, Place } from './rig.ts';

function changed(at: Place, name: string, over: Partial<RuntimeConfig> = {}): RuntimeConfig {
  const config = configFor(at, over);
  return {
    ...config,
    digest: `sha256:config-${name}`,
    policy: { ...config.policy, digest: `sha256:policy-${name}` },
  };
}

/** With one rule of the workspace before all others. */
function ruled(config: RuntimeConfig, rule: Pick<PolicyRule, 'id' | 'tools' | 'decision'>): RuntimeConfig {
  const { workspace } = config.policy;
  const whole: PolicyRule = { reason: rule.id, onDeny: 'tell_model', rememberable: false, ...rule };
  return {
    ...config,
    policy: { ...config.policy, workspace: { ...workspace, rules: [whole, ...workspace.rules] } },
  };
}

interface Serving extends Bench {
  /** What the files hold from now on; a function throws. */
  files: { load: () => RuntimeConfig };
  book: BookParts;
  /** Asks for what the files hold, or for another digest, and gives the answer of the process. */
  reload(asked?: RuntimeConfig): Promise<ServingProcess['answer']>;
  records(type: string): Promise<Record<string, unknown>[]>;
}

/** The test's own time bounds it. */
async function until<T>(look: () => T | Promise<T>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await setImmediate();
  }
}

// What falls due is given time to be done before more falls due: a process whose time runs away from it loses its leases.
const LOOKS_A_STEP = 25;

/** The same, while time goes on. */
async function inTime<T>(clock: { advance(ms: number): void }, look: () => T | Promise<T>): Promise<T> {
  let looks = 0;
  return until(() => {
    if (looks++ % LOOKS_A_STEP === 0) clock.advance(500);
    return look();
  });
}

let requests = 0;

async function serving(at: Place, options: OpenOptions = {}): Promise<Serving> {
  const files = { load: () => options.config ?? configFor(at) };
  const bench = await open(at, {
    configSource: { load: async () => files.load(), principal: CALLER.principal },
    ...options,
  });
  const book = { store: bench.runtime.store, clock: bench.clock, tenant: 'local' };
  return {
    ...bench,
    files,
    book,
    async reload(asked = files.load()) {
      const id = `r${String((requests += 1))}`;
      await requestReload(book, { id, directory: asked.directory, by: 'os:1', ...digestsOf(asked) });
      return inTime(bench.clock, async () => {
        const { serving: all } = await readBook(book);
        return all.map(({ answer }) => answer).find((one) => one?.request === id);
      });
    },
    async records(type) {
      const found = await bench.runtime.store.scan({ tenant: 'local', type, limit: 100 });
      return found.map(({ evidence }) => (evidence.state === 'present' ? evidence.value : {}));
    },
  };
}

const call = (bench: Bench, tool: string, args = { n: 1 }): ReturnType<Bench['runtime']['callCapability']> =>
  bench.runtime.callCapability(CALLER, { tool, args }, IO);

/** How many of the instances that started calls give signs of life. */
async function alive({ runtime, clock, records }: Serving): Promise<number> {
  const started = await records('call_started');
  const held = await Promise.all(
    started.map(({ instance }) =>
      runtime.store.claim(`instance/${String(instance)}`, 'test', clock.now(), 0),
    ),
  );
  return held.filter((one) => !one.ok).length;
}

test('the next call is judged by the configuration that was taken, and the one in flight ends under its own', async () => {
  const at = await place();
  const bench = await serving(at);
  let tools = 0;
  bench.runtime.onToolsChanged(() => (tools += 1));
  let finish = (): void => undefined;
  const started = new Promise<void>((resolve) => {
    bench.tool.run = async () => {
      resolve();
      await new Promise<void>((done) => (finish = done));
      return OK;
    };
  });
  const inFlight = call(bench, 'note');
  await started;
  bench.files.load = () => ruled(changed(at, 'new'), { id: 'frozen', tools: ['note'], decision: 'deny' });
  expect(await bench.reload()).toMatchObject({ outcome: 'taken' });
  expect(bench.runtime.config.digest).toBe('sha256:config-new');
  expect(tools).toBe(1);

  const denied = await call(bench, 'note', { n: 2 });
  expect(denied).toMatchObject({
    status: 'denied',
    decision: { reasons: ['frozen'], policy_digest: 'sha256:policy-new' },
  });
  expect(await alive(bench)).toBe(1);
  finish();
  expect(await inFlight).toMatchObject({ status: 'done', decision: { policy_digest: 'sha256:policy' } });
  expect(bench.effects.length).toBe(1);
  expect((await bench.runtime.exposedTools(CALLER)).map(({ id }) => id)).not.toContain('note');

  expect(await bench.records('config_taken')).toMatchObject([
    { how: 'start', from_digest: null, to_digest: 'sha256:config', by: CALLER.principal },
    {
      ...{ how: 'reload', by: 'os:1', from_digest: 'sha256:config', to_digest: 'sha256:config-new' },
      ...{ from_policy_digest: 'sha256:policy', to_policy_digest: 'sha256:policy-new' },
    },
  ]);
  expect(await bench.reload()).toMatchObject({ outcome: 'same' });
  expect(await bench.records('config_taken')).toHaveLength(2);
});

test('the session of calls that name none goes on, and where it may not, its successor says which it follows', async () => {
  const at = await place();
  const { policy } = configFor(at);
  const strict = { policy: { ...policy, cycle: { maxRepeats: 2, windowSeconds: 600 } } };
  const bench = await serving(at, { config: configFor(at, strict) });
  const sessions = async (): Promise<unknown[]> =>
    (await bench.records('session_started')).map(({ session_id: id, predecessor_id: before }) => [
      id,
      before,
    ]);
  for (const status of ['done', 'done']) expect(await call(bench, 'note')).toMatchObject({ status });
  bench.files.load = () => changed(at, 'new', strict);
  expect(await bench.reload()).toMatchObject({ outcome: 'taken' });
  expect(await call(bench, 'note')).toMatchObject({
    ...{ status: 'denied', decision: { rule_id: 'cycle_detection', policy_digest: 'sha256:policy-new' } },
  });
  const [[first]] = (await sessions()) as [[string]];
  expect(await sessions()).toEqual([[first, undefined]]);

  const gateway = { ...configFor(at).runtime, gatewayIntent: 'support' };
  bench.files.load = () => changed(at, 'bound', { ...strict, runtime: gateway });
  expect(await bench.reload()).toMatchObject({ outcome: 'taken' });
  expect(await call(bench, 'note')).toMatchObject({ status: 'done' });
  expect(await sessions()).toEqual([
    [first, undefined],
    [expect.any(String), first],
  ]);
});

test('what a call returned last is known under the configuration that was taken: one that returns something else is no cycle', async () => {
  const at = await place();
  const { policy } = configFor(at);
  const strict = { policy: { ...policy, cycle: { maxRepeats: 2, windowSeconds: 600 } } };
  const bench = await serving(at, { config: configFor(at, strict) });
  const look = (text: string): Promise<unknown> => {
    bench.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text }] });
    return call(bench, 'note');
  };
  expect(await look('one')).toMatchObject({ status: 'done' });
  bench.files.load = () => changed(at, 'new', strict);
  expect(await bench.reload()).toMatchObject({ outcome: 'taken' });
  for (const text of ['two', 'three']) expect(await look(text)).toMatchObject({ status: 'done' });
});

test('what ran under the configuration before is closed with its last call', async () => {
  const at = await place();
  const bench = await serving(at);
  await call(bench, 'look');
  expect(await alive(bench)).toBe(1);
  bench.files.load = () => changed(at, 'new');
  await bench.reload();
  await until(async () => (await alive(bench)) === 0);
  expect((await call(bench, 'look', { n: 2 })).status).toBe('done');
});

test('a call that waits for a person is met where it runs, and ends there', async () => {
  const at = await place();
  const question: Question = {
    ...{ id: 'inp_1', capabilitySessionId: 'cap_1', server: 'desk', message: 'Which?' },
    ...{ mode: 'form', schema: { type: 'object' }, openUntil: Number.MAX_SAFE_INTEGER / 1000 },
  };
  let runs = 0;
  const asking: Executor = {
    transports: ['in_process'],
    execute: async (_, io) => {
      runs += 1;
      await io.ask?.(question, new AbortController().signal);
      return OK;
    },
  };
  const bench = await serving(at, { executors: [asking] });
  const { session_id, tool_call_id } = await bench.ask('note', { n: 1 });
  const again = { session_id, tool_call_id };
  const waits = await bench.runtime.callTool(CALLER, again, { ...IO, ask: async () => 'returned' });
  expect(waits.status).toBe('input_required');
  bench.files.load = () => ruled(changed(at, 'new'), { id: 'frozen', tools: ['note'], decision: 'deny' });
  expect(await bench.reload()).toMatchObject({ outcome: 'taken' });
  expect(await alive(bench)).toBe(1);
  const met = await bench.runtime.callTool(CALLER, again, {
    ...IO,
    ask: async () => ({ action: 'accept' }),
  });
  expect(met).toMatchObject({ status: 'done', decision: { policy_digest: 'sha256:policy' } });
  expect(runs).toBe(1);
  await until(async () => (await alive(bench)) === 0);
});

test('an approval of the policy before asks again', async () => {
  const at = await place();
  const bench = await serving(at);
  const asked = await bench.ask('pay', { amount: 1 });
  const before = await bench.run(asked);
  await bench.runtime.deliverApproval(PERSON, ticket(before), APPROVE);
  bench.files.load = () => changed(at, 'new');
  await bench.reload();
  const after = await bench.run(asked);
  expect(ticket(after)).not.toBe(ticket(before));
  expect(after.approval?.action_digest).not.toBe(before.approval?.action_digest);
  expect(bench.effects).toEqual([]);
  await bench.runtime.deliverApproval(PERSON, ticket(after), APPROVE);
  expect((await bench.run(asked)).status).toBe('done');
});

const REFUSED: Record<string, { files: (at: Place) => RuntimeConfig; code: string; says: string }> = {
  'files that are no configuration': {
    files: () => {
      throw new RuntimeError('CONFIGURATION_ERROR', 'policy.yaml:12:5 /policy/version: is required');
    },
    code: 'CONFIGURATION_ERROR',
    says: 'policy.yaml:12:5 /policy/version: is required',
  },
  'a configuration that nobody trusts': {
    files: () => {
      throw new RuntimeError('WORKSPACE_NOT_TRUSTED');
    },
    code: 'WORKSPACE_NOT_TRUSTED',
    says: 'nobody here has trusted',
  },
  'rules that do not compile': {
    files: (at) => {
      const config = changed(at, 'asked');
      const [rule] = config.policy.workspace.rules;
      const rules = rule === undefined ? [] : [{ ...rule, when: 'args.(' }];
      return { ...config, policy: { ...config.policy, workspace: { ...config.policy.workspace, rules } } };
    },
    code: 'CONFIGURATION_ERROR',
    says: '',
  },
  'files that changed after it was asked': {
    files: (at) => changed(at, 'later'),
    code: 'CONFLICT',
    says: 'ask again',
  },
  'what counts only from a start': {
    files: (at) => {
      const { runtime, identity } = configFor(at);
      return ruled(
        changed(at, 'asked', {
          runtime: { ...runtime, maxLineBytes: 7 },
          identity: { ...identity, stdio: { ...identity.stdio, roles: ['admin'] } },
        }),
        { id: 'frozen', tools: ['note'], decision: 'deny' },
      );
    },
    code: 'RESTART_NEEDED',
    says: 'runtime.yaml: runtime.max_line_bytes; identity.yaml: identity.stdio. A restart is needed.',
  },
  'pins that cannot be read': {
    files: (at) => {
      mkdirSync(join(at.workspace, '.agent-runtime'), { recursive: true });
      writeFileSync(join(at.workspace, '.agent-runtime', 'tools.lock.json'), '<<<<<<< ours\n');
      return ruled(changed(at, 'asked'), { id: 'frozen', tools: ['note'], decision: 'deny' });
    },
    code: 'STORE_CORRUPT',
    says: 'tools.lock.json',
  },
};

for (const [what, { files, code, says }] of Object.entries(REFUSED)) {
  test(`${what}: refused, on record, and what runs stays whole`, async () => {
    const at = await place();
    const bench = await serving(at);
    bench.files.load = () => files(at);
    const { pending } = bench.clock;
    const answer = await bench.reload(changed(at, 'asked'));
    expect(answer).toMatchObject({
      outcome: 'refused',
      code,
      message: expect.stringContaining(says) as string,
    });
    expect(await bench.records('config_reload_refused')).toMatchObject([{ code, digest: 'sha256:config' }]);
    expect(bench.runtime.config.digest).toBe('sha256:config');
    expect(await call(bench, 'note')).toMatchObject({
      status: 'done',
      decision: { policy_digest: 'sha256:policy' },
    });
    expect(await bench.records('config_taken')).toHaveLength(1);
    await expect.poll(() => bench.clock.pending).toBe(pending);
  });
}

test('a configuration whose taking cannot be recorded is not taken', async () => {
  const at = await place();
  const inner = createMemoryStore();
  const store: Store = {
    ...inner,
    commit: async (commit) => {
      const reloads = commit.appends?.some(({ evidence }) => evidence.how === 'reload') === true;
      if (reloads) throw new RuntimeError('STORE_UNAVAILABLE');
      return inner.commit(commit);
    },
  };
  const bench = await serving(at, { store });
  bench.files.load = () => ruled(changed(at, 'new'), { id: 'frozen', tools: ['note'], decision: 'deny' });
  expect(await bench.reload()).toMatchObject({ outcome: 'refused', code: 'STORE_UNAVAILABLE' });
  expect((await call(bench, 'note')).status).toBe('done');
});

test('a restart with other files is on record, one with the same is not', async () => {
  const at = await place();
  const first = await serving(at);
  const { clock } = first;
  await first.runtime.close();
  await (await serving(at, { fakeClock: clock })).runtime.close();
  const third = await serving(at, { fakeClock: clock, config: changed(at, 'new') });
  expect(await third.records('config_taken')).toMatchObject([
    { how: 'start', from_digest: null, to_digest: 'sha256:config' },
    { how: 'start', from_digest: 'sha256:config', to_digest: 'sha256:config-new' },
  ]);
  expect((await readBook(third.book)).serving).toHaveLength(1);
});

test('several processes take it, each once, and one with other files is not asked', async () => {
  const at = await place();
  const first = await serving(at);
  const second = await serving(at, { fakeClock: first.clock });
  const other = await serving(at, {
    fakeClock: first.clock,
    config: { ...changed(at, 'other'), directory: '/elsewhere' },
  });
  for (const one of [first, second]) one.files.load = () => changed(at, 'new');
  await first.reload();
  // Whichever was first. Each is on record before it is taken.
  await until(async () => [first, second].every(({ runtime }) => runtime.config.digest.endsWith('-new')));
  const { serving: all } = await readBook(first.book);
  expect(all.filter(({ answer }) => answer?.outcome === 'taken')).toHaveLength(2);
  expect(await first.records('config_reload_refused')).toEqual([]);
  expect(other.runtime.config.digest).toBe('sha256:config-other');
});

test('work in the background goes on under the configuration that was taken', async () => {
  const at = await place();
  const bench = await serving(at, { callerOf: () => CALLER });
  await bench.runtime.startWorker();
  const { agent } = configFor(at);
  bench.files.load = () => changed(at, 'new', { agent: { ...agent, id: 'agent-2' } });
  await bench.reload();
  bench.model.next(says('well'));
  const { session_id: id } = await bench.runtime.startSession(
    CALLER,
    { execute_turn_input: { messages: [{ role: 'user', content: 'go on' }] }, background: true },
    IO,
  );
  await inTime(bench.clock, async () => (await bench.runtime.work(CALLER, id)).turn_count === 1);
  expect(await bench.records('turn_started')).toMatchObject([{ agent_id: 'agent-2' }]);
});
