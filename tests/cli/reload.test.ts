// `config reload` against a real `serve`, with a real client that stays connected.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import { reloadConfig } from '../../src/cli/commands/reload.ts';
import { createContext } from '../../src/cli/context.ts';
import { createPrinter } from '../../src/cli/print.ts';
import { startServing } from '../../src/runtime/config-book.ts';
import { fileTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { edit, environment, json, MAIN, place, run } from './harness.ts';
import type { Place } from './harness.ts';

interface Client {
  call(name: string, args: object): Promise<Record<string, unknown>>;
  /** Methods of the notifications so far. */
  told: string[];
  end(): Promise<number | null>;
}

/** One connection for the whole test. */
async function connect(at: Place): Promise<Client> {
  const child = spawn(process.execPath, [MAIN, 'serve'], { cwd: at.workspace, env: environment(at) });
  onTestFinished(() => void child.kill('SIGKILL'));
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const waiting = new Map<number, (result: Record<string, unknown>) => void>();
  const told: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id?: number; method?: string; result?: Record<string, unknown> };
    if (message.id === undefined) told.push(message.method ?? '');
    else waiting.get(message.id)?.(message.result ?? {});
  });
  let last = 0;
  const send = (message: object): void =>
    void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = (method: string, params: object): Promise<Record<string, unknown>> => {
    const id = (last += 1);
    const answer = new Promise<Record<string, unknown>>((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    const gone = ended.then((code): never => {
      throw new Error(`ended with ${String(code)}: ${err}`);
    });
    return Promise.race([answer, gone]);
  };
  const clientInfo = { name: 'test', version: '1' };
  await ask('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
  send({ method: 'notifications/initialized' });
  return {
    told,
    call: async (name, args) => {
      const result = await ask('tools/call', { name, arguments: args });
      const { structuredContent, _meta } = result as Record<string, Record<string, unknown> | undefined>;
      return structuredContent ?? (_meta?.['agent-runtime/call'] as Record<string, unknown>);
    },
    end: () => {
      child.stdin.end();
      return ended;
    },
  };
}

async function served(): Promise<{ at: Place; client: Client }> {
  const at = await place();
  await run(at, ['init']);
  await mkdir(join(at.workspace, 'sandbox'));
  expect((await run(at, ['capabilities', 'pin', 'desk', '--yes'])).code).toBe(0);
  return { at, client: await connect(at) };
}

async function trusted(at: Place): Promise<string> {
  const { digest } = await json(at, ['config', 'check']);
  expect((await run(at, ['trust', '--digest', String(digest)])).code).toBe(0);
  return String(digest);
}

const SEARCH = ['desk:search_docs', { query: 'refund' }] as const;
const FOUND = { documents: [{ id: 'refund-policy' }] };
const RULE =
  '- { id: no-refunds, tools: [search_docs], when: args.query == "refund", decision: deny, reason: Not now., on_deny: tell_model }';
const DENIED = ['- id: no-env-files', `${RULE}\n      - id: no-env-files`] as const;

test('one line of policy, trusted and reloaded, denies the same call on the same connection', async () => {
  const { at, client } = await served();
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);

  await edit(at, 'configs/policy.yaml', DENIED);
  const untrusted = await run(at, ['config', 'reload']);
  expect(untrusted).toMatchObject({ code: 3, out: '' });
  expect(untrusted.err).toContain('agent-runtime trust');
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);

  const digest = await trusted(at);
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);
  const told = await json(at, ['config', 'reload']);
  expect(told).toMatchObject({ digest, trust: 'trusted', processes: [{ outcome: 'taken' }] });
  const denied = await client.call(...SEARCH);
  expect(denied).toMatchObject({
    status: 'denied',
    // The session of calls goes on, and this one is its fourth of the same kind and result.
    decision: {
      reasons: expect.arrayContaining(['Not now.']) as string[],
      policy_digest: told.policy_digest,
    },
  });
  expect(client.told).toContain('notifications/tools/list_changed');
  expect(await json(at, ['config', 'reload'])).toMatchObject({ processes: [{ outcome: 'same' }] });
  expect(await client.end()).toBe(0);
  expect((await run(at, ['evidence', 'verify'])).code).toBe(0);
});

test('a broken edit is told with its place, and a change that needs a start by its name; both keep what runs', async () => {
  const { at, client } = await served();
  await edit(at, 'configs/policy.yaml', DENIED);
  await edit(at, 'configs/policy.yaml', ['max_repeats: 3', 'max_repeats: no']);
  const broken = await json(at, ['config', 'reload'], 1);
  expect(broken).toMatchObject({
    ok: false,
    problems: [{ file: 'policy.yaml', path: '/policy/cycle_detection/max_repeats' }],
  });
  expect((await run(at, ['config', 'reload'])).err).toMatch(
    /policy\.yaml:\d+:\d+ \/policy\/cycle_detection\/max_repeats: /,
  );
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);

  await edit(at, 'configs/policy.yaml', ['max_repeats: no', 'max_repeats: 4']);
  await edit(at, 'configs/identity.yaml', ['roles: [operator, manager]', 'roles: [operator]']);
  await trusted(at);
  const refused = await json(at, ['config', 'reload'], 1);
  expect(refused.processes).toMatchObject([
    {
      outcome: 'refused',
      code: 'RESTART_NEEDED',
      message: expect.stringContaining('identity.stdio') as string,
    },
  ]);
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);
  expect(await client.end()).toBe(0);
  // A start takes it.
  const again = await connect(at);
  expect(await again.call(...SEARCH)).toMatchObject({ status: 'denied' });
  expect(await again.end()).toBe(0);
  const none = await run(at, ['config', 'reload']);
  expect(none).toMatchObject({ code: 0 });
  expect(none.out).toContain('No process serves this workspace');
});

test('a change of the tenant reaches the process that was started for another, which says that it needs a start', async () => {
  const { at, client } = await served();
  await edit(at, 'configs/identity.yaml', ['tenant: local', 'tenant: acme']);
  await trusted(at);
  const refused = await json(at, ['config', 'reload'], 1);
  expect(refused.processes).toMatchObject([
    {
      outcome: 'refused',
      code: 'RESTART_NEEDED',
      message: expect.stringContaining('identity.stdio') as string,
    },
  ]);
  expect(await client.call(...SEARCH)).toMatchObject(FOUND);
  expect(await client.end()).toBe(0);
});

test('a process that says nothing is told of with what can be done to know whether it took it', async () => {
  const at = await place();
  await run(at, ['init']);
  let shown = '';
  const print = createPrinter({
    ...{ json: false, color: false, writeError: () => undefined },
    write: async (text) => void (shown += text),
  });
  const known = createContext({ workspace: at.workspace }, environment(at), print);
  // Each pause is over at once, and its time has gone by.
  const still = createFakeClock(systemClock.now());
  const clock: Clock = {
    ...{ now: () => still.now(), monotonic: () => still.monotonic() },
    after(ms, fire) {
      const cancel = still.after(ms, fire);
      setImmediate(() => still.advance(ms));
      return cancel;
    },
  };
  const keys = fileTenantKeys(join(at.state, 'keys'));
  const path = join(at.workspace, '.agent-runtime', 'runtime.db');
  const store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
  onTestFinished(() => store.close());
  const directory = known.configDirectory;
  const own = { instance: 'inst_silent', directory, digest: 'sha256:a', policy_digest: 'sha256:b' };
  await startServing({ store, clock, tenant: 'local' }, own, { by: 'os:1', gone: new Set() });
  await store.claim('instance/inst_silent', 'inst_silent', still.now(), 3_600_000);
  expect(await reloadConfig({ ...known, clock })).toBe(5);
  expect(shown.replaceAll(/\s+/g, ' ')).toContain(
    'has not answered; its log says what it does, and asking again says whether it has it',
  );
});
