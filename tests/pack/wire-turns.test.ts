// Whole turns over the real provider kinds, against servers on the loopback.
import { expect, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { ModelProfile } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { fixturesOf, KEY, KEY_ENV, profileOf } from '../providers/kit.ts';
import { startServer } from '../providers/misbehaving-server.ts';
import type { MisbehavingServer, Reply } from '../providers/misbehaving-server.ts';
import { createPackRig, rigConfig, user } from './rig.ts';
import type { Rig } from './rig.ts';

// The recorded answers name this intent.
const HI = { messages: [user('hi')], intent_catalog: [{ id: 'help', description: 'Help.' }] };

async function serverOf(...replies: Reply[]): Promise<MisbehavingServer> {
  const server = await startServer(replies);
  onTestFinished(server.close);
  return server;
}

/** The first profile is the default. */
function wiredRig(profiles: ModelProfile[], env: Record<string, string>): Rig {
  const [first] = profiles;
  const models = {
    default: first?.name ?? '',
    profiles: Object.fromEntries(profiles.map((profile) => [profile.name, profile])),
  };
  const ports = { env, clock: systemClock, random: () => 0 };
  return createPackRig({
    config: { ...rigConfig(), models },
    provider: (profile) => createModelProvider(profile, ports),
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
