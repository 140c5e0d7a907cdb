// Whole turns over the real provider kinds, against servers on the loopback.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { ModelOutput, ModelProfile, ModelProvider } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { capability } from '../kernel/sample-config.ts';
import { fixturesOf, KEY, KEY_ENV, profileOf } from '../providers/kit.ts';
import { startServer } from '../providers/misbehaving-server.ts';
import type { WireProviderKind } from '../providers/kit.ts';
import type { MisbehavingServer, Reply } from '../providers/misbehaving-server.ts';
import { createPackRig, evidenceOf, rigConfig, user } from './rig.ts';
import type { Rig } from './rig.ts';

// The recorded answers name this intent.
const HI = { messages: [user('hi')], intent_catalog: [{ id: 'help', description: 'Help.' }] };

// The recorded answers call these.
const READS = ['fs:read', 'fs:list'];
const capabilities = READS.map((id) => capability(id));

async function serverOf(...replies: Reply[]): Promise<MisbehavingServer> {
  const server = await startServer(replies);
  onTestFinished(server.close);
  return server;
}

/** The first profile is the default; `tampered` changes what a provider makes of its answer. */
function wiredRig(
  profiles: ModelProfile[],
  env: Record<string, string>,
  tampered: (output: ModelOutput) => ModelOutput = (output) => output,
): Rig {
  const [first] = profiles;
  const models = {
    default: first?.name ?? '',
    profiles: Object.fromEntries(profiles.map((profile) => [profile.name, profile])),
  };
  const ports = { env, clock: systemClock, random: () => 0 };
  return createPackRig({
    config: { ...rigConfig({ policy: { registry: { allowed: READS, denied: [] } }, capabilities }), models },
    provider: (profile) => {
      const real = createModelProvider(profile, ports);
      const generate: ModelProvider['generate'] = async (...call) => {
        const { output, facts } = await real.generate(...call);
        return { output: tampered(output), facts };
      };
      return { ...real, generate };
    },
  });
}

verifies(
  ['PA-02'],
  'the default profile is used when none is named, a named one when named, and an unknown name calls nobody',
  async () => {
    const usual = await serverOf(fixturesOf('openai_compatible')('text'));
    const other = await serverOf(fixturesOf('messages_compatible')('text'));
    const profiles = [
      profileOf('openai_compatible', {
        name: 'usual',
        model: 'm-usual',
        apiKeyEnv: 'USUAL_KEY',
        baseUrl: `${usual.origin}/v1`,
      }),
      profileOf('messages_compatible', {
        name: 'other',
        model: 'm-other',
        apiKeyEnv: 'OTHER_KEY',
        baseUrlEnv: 'OTHER_URL',
      }),
    ];
    const env = { USUAL_KEY: 'sk-usual', OTHER_KEY: 'sk-other', OTHER_URL: `${other.origin}/v1` };
    const rig = wiredRig(profiles, env);

    const unnamed = await rig.ok(HI);
    expect(unnamed.provider).toEqual({ kind: 'openai_compatible', model: 'm-usual' });
    expect([usual.received.length, other.received.length]).toEqual([1, 0]);
    expect(usual.received[0]).toMatchObject({
      headers: { authorization: 'Bearer sk-usual' },
      body: { model: 'm-usual' },
    });

    const named = await rig.ok({ ...HI, model_profile: 'other', session_id: unnamed.session_id });
    expect(named.provider).toEqual({ kind: 'messages_compatible', model: 'm-other' });
    expect([usual.received.length, other.received.length]).toEqual([1, 1]);
    expect(other.received[0]).toMatchObject({
      headers: { 'x-api-key': 'sk-other' },
      body: { model: 'm-other' },
    });

    for (const model_profile of ['m-other', 'constructor']) {
      const { error } = await rig.fails({ ...HI, model_profile });
      expect(error).toMatchObject({
        code: 'CONFIGURATION_ERROR',
        details: { field: '/model_profile', configured: ['usual', 'other'], provider_call_count: 0 },
      });
    }
    expect([usual.received.length, other.received.length]).toEqual([1, 1]);
  },
);

verifies(
  ['PA-04'],
  'a turn reads the key and reaches the host of its own profile, says so, and no tool is given either',
  async () => {
    const answers = fixturesOf('openai_compatible');
    const one = await serverOf(answers('parallel_calls'));
    const two = await serverOf();
    const base = { apiKeyEnv: 'ONE_KEY', baseUrlEnv: 'A_URL' };
    const profiles = [
      profileOf('openai_compatible', { name: 'one', ...base }),
      profileOf('openai_compatible', { name: 'two', apiKeyEnv: 'TWO_KEY', baseUrl: `${two.origin}/v1` }),
      profileOf('messages_compatible', {
        name: 'far',
        apiKeyEnv: 'FAR_KEY',
        baseUrl: 'https://far.example/v1',
      }),
      profileOf('openai_compatible', { name: 'lost', apiKeyEnv: 'LOST_KEY', baseUrlEnv: 'LOST_URL' }),
    ];
    const env = { A_URL: `${one.origin}/v1`, ONE_KEY: 'sk-of-one-0001', TWO_KEY: 'sk-of-two-0002' };
    const rig = wiredRig(profiles, env);
    const granted = async (session = ''): Promise<unknown> => {
      const begun = (await rig.records(session)).filter((record) => record.header.type === 'turn_started');
      const { required_env, network_allowlist } = evidenceOf(begun.at(-1));
      return { required_env, network_allowlist };
    };

    const asked = await rig.ok(HI);
    expect(await granted(asked.session_id)).toEqual({
      required_env: ['A_URL', 'ONE_KEY'],
      network_allowlist: [new URL(one.origin).host],
    });
    expect(one.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer sk-of-one-0001']);
    expect(two.received).toEqual([]);
    expect(JSON.stringify(one.received)).not.toContain('sk-of-two');

    expect(await rig.run(asked)).toMatchObject({ status: 'done' });
    const given = JSON.stringify(rig.effects);
    for (const word of [...Object.values(env), ...Object.keys(env)]) expect(given).not.toContain(word);

    // Neither needs what another profile lacks, and each is told of its own only.
    const far = await rig.fails({ ...HI, model_profile: 'far' });
    expect(far.error).toMatchObject({ code: 'MISSING_ENVIRONMENT', details: { variable: 'FAR_KEY' } });
    expect(await granted(far.session_id)).toEqual({
      required_env: ['FAR_KEY'],
      network_allowlist: ['far.example:443'],
    });
    const lost = await rig.fails({ ...HI, model_profile: 'lost' });
    expect(lost.error.code).toBe('MISSING_ENVIRONMENT');
    expect(await granted(lost.session_id)).toEqual({
      required_env: ['LOST_KEY', 'LOST_URL'],
      network_allowlist: [],
    });
  },
);

verifies(
  ['PA-05'],
  "a url that is not the profile's base URL sends nothing, and a redirect is refused before the other origin sees anything",
  async () => {
    for (const kind of ['openai_compatible', 'messages_compatible'] as const) {
      const elsewhere = await serverOf(fixturesOf(kind)('text'));
      const location = `${elsewhere.origin}/v1/steal`;
      const statuses = [301, 302, 303, 307, 308];
      const replies = statuses.map((status) => ({ status, headers: { location } }));
      const server = await serverOf(...replies, fixturesOf(kind)('text'));
      const baseUrl = `${server.origin}/v1`;
      const rig = wiredRig([profileOf(kind, { baseUrl })], { [KEY_ENV]: KEY });

      for (const url of [`${elsewhere.origin}/v1`, server.origin, `${baseUrl}/chat/completions`, 'v1']) {
        const { error } = await rig.fails({ ...HI, url });
        expect(error).toMatchObject({
          code: 'INVALID_INPUT',
          details: { field: '/url', configured_base_url: baseUrl, requested_url: url },
        });
      }
      expect(server.received).toEqual([]);

      for (const status of statuses) {
        const { error } = await rig.fails({ ...HI, url: baseUrl });
        expect(error).toMatchObject({
          code: 'PROVIDER_HTTP_ERROR',
          details: { response_status: status, reason: 'redirect refused', redirect_origin: elsewhere.origin },
        });
      }
      expect(server.received).toHaveLength(statuses.length);
      expect((await rig.ok({ ...HI, url: baseUrl })).status).toBe('reply');
      expect(elsewhere.received).toEqual([]);
    }
  },
);

const SCRIPT = `
version: 1
turns:
  - { reply: Grüße, status: reply, intent: help }
  - tool_calls: [{ name: 'fs:read', input: { path: a.txt } }, { name: 'fs:list', input: { path: . } }]
`;

function scriptedProfile(): ModelProfile {
  const folder = mkdtempSync(join(tmpdir(), 'script-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const script = join(folder, 'script.yaml');
  writeFileSync(script, SCRIPT);
  return profileOf('scripted', { script });
}

/** A server that says one thing and then asks for two tools, streamed to whoever wants it so. */
async function wireProfile(kind: WireProviderKind): Promise<ModelProfile> {
  const reply = fixturesOf(kind);
  const either = (whole: string, streamed: string): Reply => ({
    from: ({ body }) => reply(body['stream'] === true ? streamed : whole),
  });
  const server = await serverOf(either('text', 'stream_text'), either('parallel_calls', 'stream_calls'));
  return profileOf(kind, { baseUrl: `${server.origin}/v1` });
}

verifies(
  ['TC-09'],
  'every provider, streaming or not, gives one shape, and one that is not whole is INVALID_OUTPUT with all that is known of its call',
  async () => {
    const id = expect.any(String) as unknown;
    for (const stream of [false, true]) {
      for (const kind of ['openai_compatible', 'messages_compatible', 'scripted'] as const) {
        const profile = kind === 'scripted' ? scriptedProfile() : await wireProfile(kind);
        const env = { [KEY_ENV]: KEY };
        const counts = (usage: object): object => (kind === 'scripted' ? {} : { usage });
        const common = {
          provider: { kind, model: 'm-1' },
          ...counts({ input_tokens: 11, output_tokens: 7, total_tokens: 18 }),
          finish_reason: id,
          session_id: id,
          run_id: id,
          trace_id: id,
        };
        const rig = wiredRig([profile], env);
        const said = await rig.ok({ ...HI, stream });
        expect(said).toEqual({
          status: 'reply',
          intent: 'help',
          assistant_message: 'Grüße',
          ...common,
          turn_index: 0,
        });
        const { session_id } = said;
        const asked = await rig.ok({ messages: [user('look')], session_id, stream });
        const decision = expect.objectContaining({ decision: 'allow' }) as unknown;
        const calls = [
          { name: 'fs:read', input: { path: 'a.txt' }, tool_call_id: id, decision },
          { name: 'fs:list', input: { path: '.' }, tool_call_id: id, decision },
        ];
        expect(asked).toEqual({
          status: 'tool_request',
          intent: 'default',
          assistant_message: '',
          requested_tool: { name: 'fs:read', input: { path: 'a.txt' } },
          requested_tools: calls,
          tool_call_id: id,
          decision,
          ...common,
          turn_index: 1,
        });
        expect(rig.snapshots.filter((one) => one.state === 'final')).toHaveLength(stream ? 2 : 0);

        const broken = wiredRig([profile], env, (output) => ({ ...output, usage: { input_tokens: -1 } }));
        const failure = await broken.fails({ ...HI, stream });
        const called = {
          provider_call_count: 1,
          attempts: 1,
          request_url: id,
          ...(kind === 'scripted' ? {} : { response_status: 200 }),
        };
        expect(failure.error).toMatchObject({
          code: 'INVALID_OUTPUT',
          retryable: false,
          details: { field: '/usage/input_tokens', provider_kind: kind, ...called },
        });
        const record = (await broken.records(failure.session_id ?? '')).at(-1);
        expect(record?.header.type).toBe('turn_failed');
        expect(evidenceOf(record)).toMatchObject({
          code: 'INVALID_OUTPUT',
          provider: common.provider,
          finish_reason: id,
          ...called,
        });
      }
    }
  },
);

test('half a character in what a model says is told as a character that could not be read, and the turn is on record', async () => {
  const message = { role: 'assistant', content: 'Hi \ud83d!' };
  const calls = [{ id: 'a', type: 'function', function: { name: 'x\ud83d', arguments: '{"q":"\ud83d"}' } }];
  const server = await serverOf(
    { body: { choices: [{ index: 0, message, finish_reason: 'stop' }] } },
    {
      body: {
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: null, tool_calls: calls },
            finish_reason: 'tool_calls',
          },
        ],
      },
    },
  );
  const rig = wiredRig([{ ...profileOf('openai_compatible'), baseUrl: server.origin }], { [KEY_ENV]: KEY });
  const said = await rig.ok({ messages: [user('hi')] });
  expect(said.assistant_message).toBe('Hi \ufffd!');
  const { session_id } = said;
  const failure = await rig.turn({ session_id, messages: [user('again')] });
  expect(failure).toMatchObject({
    error: { code: 'PROVIDER_MALFORMED_RESPONSE', details: { reason: 'tool_arguments_not_json' } },
  });
  expect((await rig.records(session_id)).at(-1)?.header.type).toBe('turn_failed');
});
