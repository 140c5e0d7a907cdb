// Owns the proof that a model's key comes from the variable that its profile names, and goes to its server and nowhere else.
import { expect, onTestFinished, vi } from 'vitest';
import type { ModelProfile } from '../../src/providers/contract.ts';
import type { TurnInput } from '../../src/pack/turn/contract.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { refusal, swap } from '../config/fixture.ts';
import { model } from '../config/fault.ts';
import { verifies } from '../e2e/verifies.ts';
import { fixturesOf, profileOf } from '../providers/kit.ts';
import type { WireProviderKind } from '../providers/kit.ts';
import { startServer } from '../providers/misbehaving-server.ts';
import type { Received, Reply } from '../providers/misbehaving-server.ts';
import { CALLER, configFor, disguises, filesUnder, IO, OK, place } from './rig.ts';

const KEY = 'sk-named/9+f0e1d2c3b4a59687?78=zz';
const DECOY = 'sk-of-another-variable-0123456789';
const NAMED = 'OUR_MODEL_KEY';
const DECOYS = ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN'];

/** The reply, with the key wherever it said something of its own. */
function echoing(reply: Reply): Reply {
  const text = JSON.stringify(reply);
  const echoed = ['Grüße', 'a.txt'].reduce((all, word) => all.replaceAll(word, KEY), text);
  return JSON.parse(echoed) as Reply;
}

function repliesOf(kind: WireProviderKind): Reply[] {
  const reply = fixturesOf(kind);
  const refused = { error: { message: `${KEY} is not a key`, type: KEY, code: KEY } };
  return [
    ...['text', 'parallel_calls', 'stream_text', 'stream_calls'].map((name) => echoing(reply(name))),
    { status: 401, body: refused },
    { status: 400, body: { error: `no: ${encodeURIComponent(KEY)}` } },
    { body: `{"id": "${KEY}` },
  ];
}

function credentialsIn(received: Received[]): unknown[] {
  return received.map(({ headers }) => headers['x-api-key'] ?? headers.authorization);
}

/** Every turn that the server answers in one of its ways, and all that can be read of them afterwards. */
async function told(
  kind: WireProviderKind,
  key?: string,
): Promise<{ said: string; received: Received[]; files: string[] }> {
  const at = await place();
  const server = await startServer(repliesOf(kind));
  onTestFinished(server.close);
  const profile: ModelProfile = profileOf(kind, {
    name: 'real',
    apiKeyEnv: NAMED,
    baseUrl: `${server.origin}/v1`,
    maxRetries: 0,
  });
  const all: unknown[] = [];
  const runtime = await createRuntime({
    config: { ...configFor(at), models: { default: 'real', profiles: { real: profile } } },
    workspace: at.workspace,
    stateDirectory: at.state,
    env: {
      ...(key === undefined ? {} : { [NAMED]: key }),
      ...Object.fromEntries(DECOYS.map((name) => [name, DECOY])),
    },
    executors: [{ transports: ['in_process'], execute: () => Promise.resolve(OK) }],
    log: (...line) => all.push(line),
  });
  onTestFinished(() => runtime.close());
  const io = { ...IO, snapshot: (snapshot: unknown) => all.push(snapshot) };
  for (let turn = 0; turn < repliesOf(kind).length; turn++) {
    const input: TurnInput = {
      messages: [{ role: 'user', content: 'hi' }],
      stream: turn === 2 || turn === 3,
    };
    const answer = await runtime.executeTurn(CALLER, input, io);
    all.push(answer, await runtime.inspect(CALLER, 'run', answer.run_id ?? ''));
  }
  all.push(await runtime.listRequests(CALLER, {}), await runtime.listSessions(CALLER, {}));
  all.push(await runtime.getHealth(CALLER), await runtime.store.scan({ tenant: CALLER.tenant, limit: 200 }));
  await runtime.close();
  const forms = disguises(KEY);
  const files = (await filesUnder(at.root)).filter(({ bytes }) => forms.some((form) => bytes.includes(form)));
  return { said: JSON.stringify(all), received: server.received, files: files.map(({ name }) => name) };
}

for (const kind of ['openai_compatible', 'messages_compatible'] as const) {
  verifies(
    ['PA-03'],
    `a server of ${kind} is given the key of the named variable and no other, and whatever it echoes of it is in no answer, error, record or line of the log`,
    async () => {
      for (const name of DECOYS) vi.stubEnv(name, DECOY);
      onTestFinished(() => {
        vi.unstubAllEnvs();
      });
      const { said, received, files } = await told(kind, KEY);
      const sent = kind === 'openai_compatible' ? `Bearer ${KEY}` : KEY;
      expect(credentialsIn(received)).toEqual(repliesOf(kind).map(() => sent));
      expect(JSON.stringify(received)).not.toContain(DECOY);
      for (const form of disguises(KEY)) expect(said).not.toContain(form);
      // What was cut out was there, and the rest of it is told.
      for (const word of [
        '[key removed]',
        '"partial"',
        '"final"',
        'PROVIDER_AUTHENTICATION_FAILED',
        'is not a key',
      ])
        expect(said).toContain(word);
      expect(files).toEqual([]);

      const without = await told(kind);
      expect(without.received).toEqual([]);
      expect(without.said).toContain('MISSING_ENVIRONMENT');
      expect(without.said).toContain(NAMED);
    },
  );
}

verifies(
  { partial: ['PA-03'] },
  'a profile names a variable: a key itself, or what is no such name, is refused',
  async () => {
    for (const [written, problem] of [
      [`api_key: ${KEY}`, 'api_key must not be written here: name the variable that holds it in api_key_env'],
      ['api_key_env: sk-1', 'must be the name of an environment variable: capitals, digits and _'],
      ['api_key_env: lower_case', 'must be the name of an environment variable: capitals, digits and _'],
    ]) {
      const edit = model(`      { provider: openai_compatible, model: m, base_url_env: U, ${written} }\n`);
      const { error, problems } = await refusal({ 'runtime.yaml': swap(...edit) });
      expect(problems.map(({ message }) => message)).toContain(problem);
      expect(JSON.stringify([error.message, error.details])).not.toContain(KEY);
    }
  },
);
