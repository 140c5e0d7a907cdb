// Whole turns over the real provider kinds, against servers on the loopback.
import { expect, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { ModelProfile } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { fixturesOf, profileOf } from '../providers/kit.ts';
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
