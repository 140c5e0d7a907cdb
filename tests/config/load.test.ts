// What loading promises beyond faults: digests, the effective view, environment patterns, drift and trust.
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { RuntimeError } from '../../src/base/errors.ts';
import { configDrift, loadConfig } from '../../src/config/load.ts';
import { nearest } from '../../src/base/suggest.ts';
import {
  addTrust,
  EMPTY_TRUST,
  holdsTrust,
  judgeTrust,
  requireTrust,
  trustDocument,
} from '../../src/config/trust.ts';
import type { TrustDocument, TrustStore } from '../../src/config/trust.ts';
import { verifies } from '../e2e/verifies.ts';
import { BUNDLED, directoryWith, load, loadAll, options, PACKAGE_ROOT, refusal, swap } from './fixture.ts';

/** The same content with every mapping's keys in reverse. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, child]) => [key, reversed(child)]),
  );
}

const template = (text: string): ((policy: string) => string) => swap("'{workspace}/sandbox'", `'${text}'`);

describe('digests', () => {
  test('are the same for every order of keys, without comments, elsewhere, and in another environment', async () => {
    const bundled = await loadConfig(options(BUNDLED));
    const again = (text: string): string => stringify(reversed(parse(text)));
    const other = await load(
      Object.fromEntries(
        ['agent', 'policy', 'capabilities', 'runtime', 'servers'].map((n) => [`${n}.yaml`, again]),
      ),
      { HOME: '/elsewhere' },
    );
    expect(bundled.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(other.digest).toBe(bundled.digest);
    expect(other.policy.digest).toBe(bundled.policy.digest);
    expect(other.policy.digest).not.toBe(other.digest);
  });

  test('change with whatever decides, and only the whole one with the rest', async () => {
    const base = await load();
    const stricter = await load({ 'policy.yaml': swap('max_repeats: 3', 'max_repeats: 2') });
    const server = await load({ 'servers.yaml': swap("'{sandbox}']", "'{sandbox}', --more]") });
    const hops = await load({ 'runtime.yaml': swap('max_tool_hops: 6', 'max_tool_hops: 4') });
    const script = await load({ 'scripts/support.yaml': (text) => `${text}# changed\n` });
    expect(new Set([base, stricter, server, hops, script].map((c) => c.digest)).size).toBe(5);
    expect(new Set([base, stricter, server].map((c) => c.policy.digest)).size).toBe(3);
    expect([hops.policy.digest, script.policy.digest]).toEqual([base.policy.digest, base.policy.digest]);
  });

  test('let a token be rotated without touching the policy digest', async () => {
    const withToken = (digit: string): Promise<{ digest: string; policy: { digest: string } }> =>
      load({
        'identity.yaml': swap(
          'principals: []',
          `principals: [{ id: a, tenant: t, token_sha256: "${digit.repeat(64)}" }]`,
        ),
      });
    const [one, two] = [await withToken('1'), await withToken('2')];
    expect(one.policy.digest).toBe(two.policy.digest);
    expect(one.digest).not.toBe(two.digest);
  });
});

test('what a denial or a failure does to its run is read as written, and changes the digest of the policy', async () => {
  const base = await load();
  expect([base.policy.onDeny, base.policy.onFailure]).toEqual([undefined, undefined]);
  const more = `  on_deny: { arg_schema: end_run, intent: tell_model }
  on_failure: { retry_exhaustion: end_run }
  run_precheck:`;
  const { policy } = await load({ 'policy.yaml': swap('  run_precheck:', more) });
  expect(policy.onDeny).toEqual({ arg_schema: 'end_run', intent: 'tell_model' });
  expect(policy.onFailure).toEqual({ retry_exhaustion: 'end_run' });
  expect(policy.digest).not.toBe(base.policy.digest);
});

describe('the effective view', () => {
  verifies({ partial: ['CV-08'] }, 'names every value and the layer it came from', async () => {
    const { effective, config } = await loadAll(
      {
        'approvals.yaml': undefined,
        'policy.yaml': (text) =>
          template('${SANDBOX_BASE:-/tmp/a}/sandbox')(swap('\n    window_seconds: 600', '')(text)),
      },
      { SANDBOX_BASE: '/data' },
    );
    const shown = new Map(effective.map(({ key, value, layer }) => [key, [value, layer]]));
    expect(shown.get('agent.id')).toEqual(['support-triage-ref', 'file:agent.yaml']);
    expect(shown.get('policy.cycle_detection.max_repeats')).toEqual([3, 'file:policy.yaml']);
    expect(shown.get('policy.cycle_detection.window_seconds')).toEqual([600, 'default']);
    expect(shown.get('approvals.escalation_sla_minutes')).toEqual([30, 'default']);
    expect(shown.get('servers.files.max_tools')).toEqual([200, 'default']);
    expect(shown.get('policy.sandbox.root')).toEqual(['/data/sandbox', 'environment']);
    expect(config.policy.sandbox.root).toBe('/data/sandbox');
    expect(effective.length).toBe(shown.size);
  });

  test('shows no token digest', async () => {
    const { effective } = await loadAll({
      'identity.yaml': swap(
        'principals: []',
        `principals: [{ id: a, tenant: t, token_sha256: "${'f'.repeat(64)}" }]`,
      ),
    });
    expect(JSON.stringify(effective)).not.toContain('ffffffff');
    expect(JSON.stringify(effective)).toContain('"token_sha256":"(set)"');
  });
});

describe('sandbox.path_template', () => {
  const root = async (text: string, env: Record<string, string> = {}): Promise<string> =>
    (await load({ 'policy.yaml': template(text) }, env)).policy.sandbox.root;

  verifies(
    { partial: ['CV-09'] },
    'expands environment patterns once and only into an absolute path',
    async () => {
      expect(await root('${TMPDIR:-/tmp}/x/sandbox')).toBe('/tmp/x/sandbox');
      expect(await root('${TMPDIR:-/tmp}/x', { TMPDIR: '' })).toBe('/tmp/x');
      expect(await root('${TMPDIR:-/tmp}/x', { TMPDIR: '/var/t' })).toBe('/var/t/x');
      expect(await root('${TMPDIR}/x', { TMPDIR: '/a${HOME}{workspace}', HOME: '/no' })).toBe(
        '/a${HOME}{workspace}/x',
      );
      expect(await root('{workspace}/a//b/')).toBe('/work/space/a/b');
    },
  );

  const refusals: [string, Record<string, string>, RegExp][] = [
    [
      '${MISSING}/x',
      {},
      /^needs the environment variable MISSING; set it, or write \$\{MISSING:-fallback\}$/,
    ],
    ['${toString}/x', {}, /^needs the environment variable toString/],
    ['${A:-${B}}/x', {}, /^may use the environment only as/],
    ['$HOME/x', { HOME: '/h' }, /^may use the environment only as/],
    ['/a/$(id)', {}, /^may use the environment only as/],
    ['/a/`id`', {}, /^may use the environment only as/],
    ['{sandbox}/x', {}, /^knows no token but \{workspace\}$/],
    ['/runs/<run-id>', {}, /per workspace in this version/],
    ['relative/x', {}, /^becomes "relative\/x", which is not an absolute path$/],
    ['${A}/x', { A: 'rel' }, /which is not an absolute path$/],
    ['${A}/x', { A: '/a/../..' }, /which holds "\.\."$/],
    ['${A}x', { A: '/a\nb' }, /control character$/],
    ['/', {}, /the root of the file system$/],
    ['{workspace}/.agent-runtime/x', {}, /which lies in the state directory/],
  ];
  for (const [text, env, message] of refusals) {
    test(`refuses ${text} with ${JSON.stringify(env)}`, async () => {
      const { problems } = await refusal({ 'policy.yaml': template(text) }, env);
      expect(problems).toMatchObject([{ path: '/policy/sandbox/path_template' }]);
      expect(problems[0]?.message).toMatch(message);
    });
  }

  test('refuses a root in the configuration directory', async () => {
    const directory = await directoryWith();
    const path = join(directory, 'policy.yaml');
    await writeFile(path, template('${HERE}/sub')(await readFile(path, 'utf8')));
    await expect(loadConfig(options(directory, { HERE: directory }))).rejects.toThrow(
      'configuration directory',
    );
  });
});

describe('tokens', () => {
  test('are expanded in command, args, cwd and env, once, and read nothing from the environment', async () => {
    const { servers } = await load({
      'servers.yaml': (text) =>
        `${text}  own:\n    transport: stdio\n    command: '{package}/bin/x'\n    cwd: '{workspace}'\n    args: ['a={sandbox}/b', '$HOME', '{"json": 1}']\n    env: { ROOT: { value: '{sandbox}' }, API_TOKEN: { from_env: MY_TOKEN }, PASSWORD: { from_file: /run/p } }\n`,
    });
    expect(servers['own']).toMatchObject({
      command: join(PACKAGE_ROOT, 'bin/x'),
      cwd: '/work/space',
      args: ['a=/work/space/sandbox/b', '$HOME', '{"json": 1}'],
      env: {
        ROOT: { value: '/work/space/sandbox' },
        API_TOKEN: { fromEnv: 'MY_TOKEN' },
        PASSWORD: { fromFile: '/run/p' },
      },
    });
  });

  test('{workspace} in a scope is the workspace; {sandbox} stays for whoever matches', async () => {
    const { policy } = await load({
      'policy.yaml': swap(
        "pattern: '{sandbox}/**', access: read",
        "pattern: '{workspace}/docs/**', access: read",
      ),
    });
    expect(policy.workspace.scopes?.slice(0, 2)).toEqual([
      { type: 'path', pattern: '/work/space/docs/**', access: 'read' },
      { type: 'path', pattern: '{sandbox}/**', access: 'write' },
    ]);
  });
});

describe('the approver of a demand that names none', () => {
  test('is the catalog’s where it has one, else the default reviewer', async () => {
    const rule = "rules:\n      - { id: ask, tools: '*', decision: approval_required }";
    const { policy } = await load({
      'policy.yaml': (text) =>
        swap(
          '    rules:',
          `    ${rule}`,
        )(swap('approval_required, approver: principal }', 'approval_required }')(text)),
      'approvals.yaml': 'approvals: { default_reviewer: lead }\n',
    });
    const asks = policy.workspace.rules.filter((one) => one.decision === 'approval_required');
    expect(asks.map(({ id, tools, approver }) => [id, tools, approver])).toEqual([
      ['capability.create_ticket', ['desk:create_ticket'], 'role:manager'],
      ['capability.write_file', ['files:write_file'], undefined],
      ['ask', ['desk:create_ticket', 'files:write_file'], undefined],
      [
        'ask',
        [
          'desk:search_docs',
          'desk:read_doc',
          'desk:get_ticket',
          'files:read_text_file',
          'files:list_directory',
        ],
        'role:lead',
      ],
    ]);
  });
});

describe('drift', () => {
  test('tells a change, a comment and a broken edit apart', async () => {
    const directory = await directoryWith();
    const config = await loadConfig(options(directory));
    expect(await configDrift(config)).toBe('same');
    await appendFile(join(directory, 'policy.yaml'), '# a comment\n');
    expect(await configDrift(config)).toBe('same');
    await writeFile(join(directory, 'approvals.yaml'), 'approvals: { use_within_seconds: 5 }\n');
    expect(await configDrift(config)).toBe('changed');
    await writeFile(join(directory, 'approvals.yaml'), 'approvals: [\n');
    expect(await configDrift(config)).toBe('unreadable');
  });
});

function memoryTrust(): TrustStore & { document: () => TrustDocument } {
  let document = EMPTY_TRUST;
  return {
    document: () => document,
    isTrusted: async (workspace, digest) => holdsTrust(document, workspace, digest),
    trust: async (workspace, digest, at) => {
      document = addTrust(document, workspace, digest, at);
    },
    list: async () => document.trusted,
  };
}

describe('trust', () => {
  test('is not needed for the bundled example, wherever it lies', async () => {
    const config = await load();
    expect(await judgeTrust(config, '/work/space', memoryTrust(), PACKAGE_ROOT)).toBe('bundled');
    await expect(requireTrust(config, '/work/space', memoryTrust(), PACKAGE_ROOT)).resolves.toBeUndefined();
  });

  test('is per workspace and digest, given once, and refused with the digest until then', async () => {
    const config = await load({ 'agent.yaml': swap('id: support-triage-ref', 'id: another') });
    const store = memoryTrust();
    const thrown: unknown = await requireTrust(config, '/w', store, PACKAGE_ROOT).catch(
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(RuntimeError);
    expect(thrown).toMatchObject({
      code: 'WORKSPACE_NOT_TRUSTED',
      details: { workspace: '/w', digest: config.digest, directory: config.directory },
    });
    await store.trust('/w', config.digest, 1000);
    await store.trust('/w', config.digest, 2000);
    expect(await judgeTrust(config, '/w', store, PACKAGE_ROOT)).toBe('trusted');
    expect(await judgeTrust(config, '/other', store, PACKAGE_ROOT)).toBe('untrusted');
    expect(await store.list()).toEqual([
      { workspace: '/w', digest: config.digest, trusted_at: '1970-01-01T00:00:01.000Z' },
    ]);
    expect(trustDocument.safeParse(store.document()).success).toBe(true);
    expect(trustDocument.safeParse({ ...EMPTY_TRUST, extra: 1 }).success).toBe(false);
  });
});

test('a guess is never far from the word', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.array(fc.string({ maxLength: 12 })), (word, known) => {
      const guess = nearest(word, known);
      expect(guess === undefined || known.includes(guess)).toBe(true);
    }),
  );
  expect(nearest('colour', ['color', 'size'])).toBe('color');
  expect(nearest('x', ['policy'])).toBeUndefined();
});
