// Making providers from profiles: kinds, base URLs, variables and scopes.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { RuntimeError } from '../../src/base/errors.ts';
import type { ModelProfile } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { bench, errorOf, fixturesOf, KEY, KEY_ENV, outputOf, profileOf } from './kit.ts';

const ports = { clock: systemClock, random: () => 0 };
const NO_KEY = { env: {}, ...ports };

function thrownBy(act: () => unknown): RuntimeError {
  try {
    act();
  } catch (error) {
    if (error instanceof RuntimeError) return error;
  }
  throw new TypeError('nothing was thrown');
}

describe('createModelProvider', () => {
  verifies(
    ['PA-01'],
    'both wire kinds are served; any other is refused before there is a provider',
    async () => {
      for (const kind of ['openai_compatible', 'messages_compatible'] as const) {
        const { provider } = await bench(kind, [fixturesOf(kind)('text')]);
        expect(provider).toMatchObject({ kind, model: 'm-1' });
        expect((await outputOf(provider)).complete).toBe(true);
      }
      const { server } = await bench('openai_compatible', []);
      const profile = {
        ...profileOf('openai_compatible', { baseUrl: server.origin }),
        provider: 'telepathic',
      };
      const error = thrownBy(() => createModelProvider(profile as ModelProfile, NO_KEY));
      expect(error.code).toBe('PROVIDER_UNSUPPORTED');
      expect(error.details).toEqual({ model_profile: 'test', provider_kind: 'telepathic' });
      expect(server.received).toEqual([]);
    },
  );

  verifies(
    { partial: ['PA-03', 'PA-04'] },
    'a variable that is not set fails the call that needs it, by name, and no other',
    async () => {
      const { server } = await bench('openai_compatible', [fixturesOf('openai_compatible')('text')]);
      const env: Record<string, string> = {};
      const good = createModelProvider(profileOf('openai_compatible', { baseUrl: server.origin }), {
        env,
        ...ports,
      });
      const lost = createModelProvider(profileOf('openai_compatible', { baseUrlEnv: 'LOST_URL' }), {
        env,
        ...ports,
      });
      expect(lost.baseUrl).toBe('');
      expect((await errorOf(good)).details).toEqual({ variable: KEY_ENV });
      for (const unusable of ['', '  ', 'two words', 'line\nbreak', 'ключ']) {
        env[KEY_ENV] = unusable;
        const error = await errorOf(good);
        expect(error).toMatchObject({ code: 'MISSING_ENVIRONMENT', details: { variable: KEY_ENV } });
        if (unusable.trim() !== '')
          expect(JSON.stringify([error.message, error.details])).not.toContain(unusable);
      }
      env[KEY_ENV] = ` ${KEY}\n`;
      expect((await outputOf(good)).complete).toBe(true);
      expect(server.received.map((one) => one.headers.authorization)).toEqual([`Bearer ${KEY}`]);
      expect(await errorOf(lost)).toMatchObject({
        code: 'MISSING_ENVIRONMENT',
        details: { variable: 'LOST_URL' },
      });
    },
  );

  verifies(
    { partial: ['PA-02', 'PA-05'] },
    'the base URL is normalized, and comes from the profile before its variable',
    () => {
      const baseUrlOf = (over: Partial<ModelProfile>, env: Record<string, string> = {}): string =>
        createModelProvider(profileOf('openai_compatible', over), { env, ...ports }).baseUrl;
      expect(baseUrlOf({ baseUrl: 'HTTPS://API.Example:443/a/../v1' })).toBe('https://api.example/v1');
      expect(baseUrlOf({ baseUrl: 'https://api.example' })).toBe('https://api.example/');
      expect(baseUrlOf({ baseUrlEnv: 'URL_VAR' }, { URL_VAR: 'https://env.example/v1' })).toBe(
        'https://env.example/v1',
      );
      expect(baseUrlOf({ baseUrl: 'https://a.example/', baseUrlEnv: 'URL_VAR' })).toBe('https://a.example/');
      const moved = createModelProvider(profileOf('openai_compatible', { baseUrl: 'https://a.example/' }), {
        ...NO_KEY,
        baseUrlOf: () => 'http://127.0.0.1:1/v1',
      });
      expect(moved.baseUrl).toBe('http://127.0.0.1:1/v1');
    },
  );

  verifies(
    { partial: ['PA-03', 'PA-05'] },
    'a base URL that would leak the key or is none is refused, unquoted',
    async () => {
      const refused = [
        'http://api.example/v1',
        'http://127.0.0.1.example/v1',
        'http://10.0.0.1/v1',
        'ftp://127.0.0.1/',
        'file:///etc/passwd',
        'https://user:hunter2@api.example/',
        'https://api.example/v1?key=hunter2',
        'https://api.example/v1#hunter2',
        'not a url hunter2',
      ];
      for (const baseUrl of refused) {
        const provider = createModelProvider(profileOf('messages_compatible', { baseUrl }), {
          env: { [KEY_ENV]: KEY },
          ...ports,
        });
        const error = await errorOf(provider);
        expect(error.code, baseUrl).toBe('CONFIGURATION_ERROR');
        expect(error.details).toMatchObject({ model_profile: 'test', field: 'base_url' });
        expect(JSON.stringify([error.message, error.details])).not.toContain('hunter2');
      }
      for (const baseUrl of ['http://localhost:11434/v1', 'http://127.8.9.1/', 'http://[::1]:8080/v1']) {
        expect(createModelProvider(profileOf('openai_compatible', { baseUrl }), NO_KEY).baseUrl).toBe(
          baseUrl,
        );
      }
      const neither = createModelProvider(profileOf('openai_compatible'), NO_KEY);
      expect((await errorOf(neither)).code).toBe('CONFIGURATION_ERROR');
    },
  );
});

describe('what a profile needs', () => {
  test('making a provider loads no vendor package, no parser and no schema: they come with the first call', () => {
    const root = new URL('../../src/providers/', import.meta.url);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    expect(files.length).toBeGreaterThan(10);
    const eager = files.flatMap((file) => {
      const source = readFileSync(new URL(file, root), 'utf8');
      const found =
        source.match(
          /^import (?!type )[^;]*from '(?:@ai-sdk|yaml|cockatiel|zod|\.\/script\.ts|\.\/turn\.ts)[^;]*/gm,
        ) ?? [];
      return found.map((line) => `${file}: ${line}`);
    });
    // The schema of scripts is itself only loaded by the first call of a scripted model.
    expect(eager).toEqual(["scripted/script.ts: import { z } from 'zod'"]);
  });
});
