// Owns the proof that an ended turn says where its model really ran.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { recordView } from '../../src/inspect/views.ts';
import type { ModelProfile, ModelProvider } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { createFakeModel, createPackRig, rigConfig, user } from '../pack/rig.ts';
import { fixturesOf, KEY, KEY_ENV, profileOf } from '../providers/kit.ts';
import { startServer } from '../providers/misbehaving-server.ts';
import { testDir } from '../store/support.ts';

type Make = (profile: ModelProfile) => ModelProvider;

/** How the one turn of a session under this profile is shown. */
async function shown(profile: ModelProfile, make: Make): Promise<JsonObject> {
  const models = { default: profile.name, profiles: { [profile.name]: profile } };
  const rig = createPackRig({ config: { ...rigConfig(), models }, provider: make });
  const intent_catalog = [{ id: 'help', description: 'Help.' }]; // the recorded answers name it
  const said = await rig.turn({ messages: [user('hi')], intent_catalog });
  const records = await rig.records(said.session_id ?? '');
  const ended = records.find(({ header }) => ['turn_completed', 'turn_failed'].includes(header.type));
  if (ended === undefined) throw new Error('no turn has ended');
  return recordView(ended);
}

const real =
  (env: Record<string, string>): Make =>
  (profile) =>
    createModelProvider(profile, { env, clock: systemClock, random: () => 0 });

verifies(
  ['PA-12'],
  'an ended turn says stub, local or hosted by the provider that was asked and the address that was called, or nothing',
  async () => {
    const kind = 'openai_compatible';
    const keyed = { [KEY_ENV]: KEY };
    const script = join(testDir(), 'script.yaml');
    writeFileSync(script, 'version: 1\nturns: []\n');
    const stub = profileOf('openai_compatible', { name: 'offline', script });
    const offline = { ...stub, provider: 'scripted' } as const;
    expect(await shown(offline, real({}))).toMatchObject({ type: 'turn_completed', execution_path: 'stub' });

    const up = await startServer([fixturesOf(kind)('text')]);
    const local = profileOf(kind, { baseUrl: up.origin, maxRetries: 0 });
    expect(await shown(local, real(keyed))).toMatchObject({
      type: 'turn_completed',
      execution_path: 'local',
    });
    await up.close();
    // Nobody listens there any more: it was asked all the same.
    expect(await shown(local, real(keyed))).toMatchObject({
      type: 'turn_failed',
      code: 'PROVIDER_TRANSPORT_ERROR',
      execution_path: 'local',
    });

    const away = 'https://models.example/v1/';
    const fake: ModelProvider = { ...createFakeModel(away), kind };
    expect(await shown(local, () => fake)).toMatchObject({
      type: 'turn_completed',
      execution_path: 'hosted',
    });
    const details = { provider_kind: kind, request_url: `${away}chat/completions`, attempts: 1 };
    const broken: ModelProvider = {
      ...fake,
      generate: () => Promise.reject(new RuntimeError('PROVIDER_RATE_LIMITED', undefined, details)),
    };
    expect(await shown(local, () => broken)).toMatchObject({ type: 'turn_failed', execution_path: 'hosted' });

    // What was never asked ran nowhere, whatever is configured.
    const unasked = await shown(local, real({}));
    expect(unasked).toMatchObject({ type: 'turn_failed', code: 'MISSING_ENVIRONMENT' });
    expect(unasked).not.toHaveProperty('execution_path');
  },
);
