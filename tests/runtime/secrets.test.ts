import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { redactorOf } from '../../src/runtime/room-options.ts';
import { probe } from '../capabilities/fixtures.ts';
import { PROFILE } from '../pack/rig.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, configFor, disguises, filesUnder, IO, OK, open, place, says } from './rig.ts';
import type { Bench, Place } from './rig.ts';

const KEY = 'sk-canary/9+f0e1d2c3b4a59687?78&key=é';
const SECRET = 'tool-secret~canary/55+66?77&value';

async function found(at: Place, secret: string): Promise<string[]> {
  const forms = disguises(secret);
  const files = await filesUnder(at.root);
  expect(files.some((one) => one.name === join(at.workspace, '.agent-runtime', 'runtime.db'))).toBe(true);
  expect(files.some((one) => one.name.endsWith('-wal') && one.bytes.length > 0)).toBe(true);
  return files.flatMap(({ name, bytes }) =>
    forms.filter((form) => bytes.includes(form)).map((form) => `${name}: ${form}`),
  );
}

/** A tool answers with the secret among other words. */
async function tellsSecret(bench: Bench): Promise<void> {
  bench.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text: `it is ${SECRET}!` }] });
  expect((await bench.run(await bench.ask('note', { n: 1 }))).status).toBe('done');
}

verifies(
  { partial: ['EV-02'] },
  'neither a model key nor a secret argument or result stands in any file, in any spelling',
  async () => {
    const at = await place();
    const config = configFor(at);
    const profile = { ...PROFILE, apiKeyEnv: 'CANARY_KEY' };
    const bench = await open(at, {
      config: {
        ...config,
        models: { default: 'demo', profiles: { demo: profile } },
        runtime: { ...config.runtime, redaction: { fields: ['password'], patterns: [] } },
      },
      env: { CANARY_KEY: KEY },
    });
    const asked = await bench.ask('note', {
      password: SECRET,
      text: `the key is ${KEY}`,
      plain: 'visible-word',
    });
    bench.tool.run = () =>
      Promise.resolve({
        ...OK,
        content: [{ type: 'text', text: `key ${KEY}` }],
        structured: { password: SECRET, nested: [{ password: SECRET }], key: KEY },
      });
    const answer = await bench.run(asked);
    expect(answer.result?.structured).toMatchObject({ password: SECRET });
    const waiting = await bench.ask('pay', { password: SECRET, why: KEY });
    expect((await bench.run(waiting)).status).toBe('approval_required');
    const forbidden = await bench.runtime.callCapability(
      CALLER,
      { tool: 'forbidden', args: { password: SECRET, why: KEY } },
      IO,
    );
    expect(forbidden.status).toBe('denied');
    bench.model.next(says(`I saw ${KEY}`));
    await bench.turn({
      session_id: asked.session_id,
      messages: [{ role: 'user', content: `remember ${KEY}` }],
    });
    bench.model.next(new Error(`401 for ${KEY}`));
    await bench.runtime.executeTurn(CALLER, { messages: [{ role: 'user', content: 'again' }] }, IO);

    expect(await found(at, KEY)).toEqual([]);
    expect(await found(at, SECRET)).toEqual([]);
    // The search itself finds what is not hidden.
    expect((await found(at, 'visible-word')).length).toBeGreaterThan(0);

    for (const before of ['', 'a', 'ab']) {
      const coded = Buffer.from(`${before}${SECRET}..`).toString('base64');
      expect(disguises(SECRET).some((form) => coded.includes(form))).toBe(true);
    }

    const session = { tenant: 'local', aggregate: 'session' as const, id: asked.session_id };
    const started = (await bench.runtime.store.read(session)).find(
      (one) => one.header.type === 'call_started',
    );
    const sealed = await bench.runtime.store.unseal(session, started?.header.seq ?? 0);
    expect(sealed).toMatchObject({ state: 'present', value: { args: { password: SECRET } } });
  },
);

test('what a server is given from a file stands in no record', async () => {
  const at = await place();
  const outside = await place();
  const file = join(outside.workspace, 'token');
  await writeFile(file, `${SECRET}\n`);
  const config = { ...configFor(at), servers: { probe: probe({ env: { TOKEN: { fromFile: file } } }) } };
  const bench = await open(at, { config });
  await tellsSecret(bench);
  expect(await found(at, SECRET)).toEqual([]);
});

test('a secret that a server is passed by name stands in no record, what else it is passed does', async () => {
  const at = await place();
  const config = { ...configFor(at), servers: { probe: probe({ envAllow: ['PROBE_TOKEN', 'LANG'] }) } };
  const bench = await open(at, { config, env: { PROBE_TOKEN: SECRET, LANG: 'visible-words' } });
  await tellsSecret(bench);
  await bench.run(await bench.ask('note', { text: 'visible-words' }));
  expect(await found(at, SECRET)).toEqual([]);
  expect((await found(at, 'visible-words')).length).toBeGreaterThan(0);
});

test('what a file gave a server at its last start stands in no record either, and what it gave before', async () => {
  const at = await place();
  const outside = await place();
  const file = join(outside.workspace, 'token');
  const old = 'first-secret~canary/11+22?33';
  await writeFile(file, old);
  const config = { ...configFor(at), servers: { probe: probe({ env: { TOKEN: { fromFile: file } } }) } };
  const bench = await open(at, { config });
  await writeFile(file, `${SECRET}\n`);
  await bench.runtime.pin('probe');
  await tellsSecret(bench);
  await bench.run(await bench.ask('note', { text: `it was ${old}` }));
  for (const secret of [SECRET, old]) expect(await found(at, secret)).toEqual([]);
});

test('the password in an address, and what follows a scheme, stand in no record by themselves', async () => {
  const at = await place();
  const outside = await place();
  const file = join(outside.workspace, 'authorization');
  await writeFile(file, 'Bearer canary-bearer-77\n');
  const servers = {
    probe: probe({
      envAllow: ['DATABASE_URL', 'SMTP_PASS', 'DB_PWD', 'PROXY', 'PROJECT_PWD', 'NSS_WRAPPER_PASSWD'],
      env: { AUTH: { fromFile: file } },
    }),
  };
  const env = {
    DATABASE_URL: 'postgres://ann:canary%2Fpass-55@db.internal/visible-base',
    SMTP_PASS: 'canary-smtp-66',
    DB_PWD: 'canary-base-88',
    PROJECT_PWD: '/home/visible-project',
    NSS_WRAPPER_PASSWD: '/tmp/visible-users',
    PROXY: 'http://proxy.internal:8080/visible-path',
  };
  const bench = await open(at, { config: { ...configFor(at), servers }, env });
  const words = [
    'canary/pass-55',
    'canary%2Fpass-55',
    'canary-smtp-66',
    'canary-base-88',
    'canary-bearer-77',
  ];
  await bench.run(await bench.ask('note', { text: words.join(' and ') }));
  await bench.run(await bench.ask('note', { text: Object.values(env).join(' and ') }));
  for (const word of words) expect([word, await found(at, word)]).toEqual([word, []]);
  for (const word of ['visible-base', 'visible-path', 'visible-project', 'visible-users'])
    expect((await found(at, word)).length).toBeGreaterThan(0);
});

test('the password in a header whose prefix says that it is one is known by itself', async () => {
  const at = await place();
  const headers = { Authorization: { fromEnv: 'LOGIN', prefix: 'Basic ' } };
  const login = Buffer.from('ann:canary-basic-99').toString('base64');
  const servers = { probe: probe({ transport: 'http', url: 'http://desk.internal/', headers }) };
  const redactor = await redactorOf({ ...configFor(at), servers }, { LOGIN: login });
  expect(redactor.text(`canary-basic-99 and ${login}`)).toBe('[REDACTED] and [REDACTED]');
});

test('a secret that a server prints stands in no line of the log', async () => {
  const at = await place();
  const print = `process.stderr.write('my key is ' + process.env.PROBE_TOKEN + ', bye\\n')`;
  const servers = { probe: { ...probe({ envAllow: ['PROBE_TOKEN'] }), args: ['-e', print] } };
  const logged: string[] = [];
  const bench = await open(at, {
    config: { ...configFor(at), servers },
    env: { PROBE_TOKEN: SECRET },
    log: (_level, message) => logged.push(message),
  });
  await expect(bench.runtime.pin('probe')).rejects.toThrow('ended with code 0');
  await expect.poll(() => logged.find((line) => line.startsWith('my key is'))).toMatch(/, bye$/);
  expect(logged.join('\n')).not.toContain(SECRET);
});

verifies(
  { partial: ['HE-03'] },
  'without its key a turn answers MISSING_ENVIRONMENT and all else works',
  async () => {
    const at = await place();
    const config = configFor(at);
    const real = {
      ...PROFILE,
      name: 'real',
      provider: 'openai_compatible' as const,
      apiKeyEnv: 'ABSENT_KEY',
      baseUrl: 'http://127.0.0.1:9',
    };
    const { runtime } = await open(at);
    await runtime.close();
    const { createRuntime } = await import('../../src/runtime/runtime.ts');
    const bare = await createRuntime({
      config: { ...config, models: { default: 'real', profiles: { real } } },
      workspace: at.workspace,
      stateDirectory: at.state,
      env: {},
      executors: [{ transports: ['in_process'], execute: () => Promise.resolve(OK) }],
    });
    try {
      const said = await bare.executeTurn(CALLER, { messages: [{ role: 'user', content: 'hello' }] }, IO);
      expect(said).toMatchObject({ error: { code: 'MISSING_ENVIRONMENT' } });
      expect(JSON.stringify(said)).toContain('ABSENT_KEY');
      const called = await bare.callCapability(CALLER, { tool: 'note', args: { n: 1 } }, IO);
      expect(called.status).toBe('done');
      expect((await bare.exposedTools(CALLER)).map((one) => one.id)).toContain('look');
      expect((await bare.listRequests(CALLER, {})).items).toHaveLength(1);
      const { checks } = await bare.getHealth(CALLER);
      expect(checks.find((one) => one.check === 'models')).toMatchObject({ status: 'warn' });
      expect(checks.find((one) => one.check === 'models')?.detail).toContain('ABSENT_KEY');
    } finally {
      await bare.close();
    }
  },
);

test('a key is known by what is sent of it, whatever white space its variable has around it', async () => {
  const config = configFor(await place());
  const demo = { ...PROFILE, apiKeyEnv: 'CANARY_KEY' };
  const models = { default: 'demo', profiles: { demo } };
  const redactor = await redactorOf({ ...config, models }, { CANARY_KEY: ` ${SECRET}\n` });
  expect(redactor.text(`a ${SECRET} b`)).toBe('a [REDACTED] b');
});

test('a secret that a server refuses to start with stands in no answer about the server', async () => {
  const at = await place();
  const refusal = `process.stdin.once('data', (line) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0',
    id: JSON.parse(line).id, error: { code: -32000, message: 'bad key ' + process.env.PROBE_TOKEN } }) + '\\n'))`;
  const servers = { probe: { ...probe({ envAllow: ['PROBE_TOKEN'] }), args: ['-e', refusal] } };
  const config = { ...configFor(at), servers };
  const bench = await open(at, { config, env: { PROBE_TOKEN: SECRET } });
  const told = await bench.runtime.pin('probe').catch((thrown: unknown) => (thrown as Error).message);
  const { checks } = await bench.runtime.getHealth(CALLER);
  const down = checks.find(({ check }) => check === 'servers');
  expect(down?.detail).toContain('bad key');
  expect(told).toContain('bad key');
  expect(JSON.stringify([down, told])).not.toContain(SECRET);
});
