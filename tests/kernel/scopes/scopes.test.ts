import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { containsHost } from '../../../src/kernel/scopes/network.ts';
import { compileScopes, containsPath, showScopes } from '../../../src/kernel/scopes/scope.ts';
import type { ScopeSet } from '../../../src/kernel/scopes/scope.ts';
import { intersect } from '../../../src/kernel/scopes/intersect.ts';
import {
  parsePattern,
  matchesPattern,
  patternsMeet,
  pathSegments,
} from '../../../src/kernel/scopes/pattern.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import type { Scope } from '../../../src/config/types.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, config, gateOf, input, layer, rule, ROOT } from '../policy/fixtures.ts';

const name = fc.constantFrom('a', 'b', 'ab', 'ba', 'aab', '.env');
const segment = fc.oneof(name, fc.constantFrom('*', 'a*', '*b', '*a*', '**'));
const pattern = fc.array(segment, { minLength: 0, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
const path = fc.array(name, { minLength: 0, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
const host = fc.constantFrom('a.test', 'a.test:443', 'A.test', 'b.test:8443', 'b.test');
const network: fc.Arbitrary<Scope> = fc.oneof(
  fc.constant<Scope>({ type: 'network', posture: 'off' }),
  fc.constant<Scope>({ type: 'network', posture: 'full' }),
  fc
    .array(host, { maxLength: 3 })
    .map((entries): Scope => ({ type: 'network', posture: 'allowlist', entries })),
);
const access = fc.constantFrom('read' as const, 'write' as const);
const scope: fc.Arbitrary<Scope> = fc.oneof(
  fc.record({ type: fc.constant('path' as const), pattern, access }),
  network,
);
const layerOf = fc.array(scope, { maxLength: 4 }).map((scopes) => compileScopes(scopes, ROOT));
const write = (text: string): Scope => ({ type: 'path', pattern: text, access: 'write' });

type Target = { path: string; access: 'read' | 'write' } | { host: string };

const contains = (all: ScopeSet, target: Target): boolean =>
  'host' in target ? containsHost(all.network, target.host) : containsPath(all[target.access], target.path);

describe('intersection', () => {
  verifies(['SC-01', 'SC-02', 'SC-05'], 'contains exactly what both sides contain', () => {
    const target = fc.oneof(
      fc.record({ path, access }),
      host.map((entry) => ({ host: entry })),
    );
    fc.assert(
      fc.property(layerOf, layerOf, layerOf, target, (a, b, c, x) => {
        const all = intersect(intersect(a, b), c);
        expect(contains(all, x)).toBe(contains(a, x) && contains(b, x) && contains(c, x));
      }),
      { numRuns: 3000 },
    );
  });

  test('is empty exactly when no path meets both', () => {
    fc.assert(
      fc.property(pattern, pattern, path, (a, b, x) => {
        const left = parsePattern(a, ROOT);
        const right = parsePattern(b, ROOT);
        const segments = pathSegments(x);
        if (matchesPattern(left, segments) && matchesPattern(right, segments)) {
          expect(patternsMeet([left, right])).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
    const meets = (a: string, b: string): boolean =>
      patternsMeet([parsePattern(a, ROOT), parsePattern(b, ROOT)]);
    expect(meets('/a/**/x', '/a/b/**')).toBe(true);
    expect(meets('/a/*b', '/a/b*')).toBe(true);
    expect(meets('/a/b', '/a/*/c')).toBe(false);
    expect(meets('/a*/x', '/b*/x')).toBe(false);
    expect(meets('/**/a', '/**/b')).toBe(false);
    expect(meets('/**', '/**')).toBe(true);
  });

  test('what is shown can be read back and means the same', () => {
    fc.assert(
      fc.property(layerOf, layerOf, path, access, (a, b, x, how) => {
        const both = intersect(a, b);
        const again = compileScopes(showScopes(both), ROOT);
        expect(contains(again, { path: x, access: how })).toBe(contains(both, { path: x, access: how }));
      }),
    );
  });

  test('patterns that can be read in two ways are refused', () => {
    for (const bad of [
      '',
      '../x',
      '/a/../b',
      '/a\0b',
      '/a/[b]',
      '/a/{b,c}',
      '!/a',
      '/a?',
      '/a**',
      'a\\b',
      '/a\nb',
    ]) {
      expect(() => parsePattern(bad, ROOT), bad).toThrow(/scope pattern/);
    }
    expect(parsePattern('{sandbox}/x', ROOT).text).toBe('/srv/sandbox/x');
    expect(parsePattern('x/./y//z', ROOT).text).toBe('/srv/sandbox/x/y/z');
  });

  verifies(['SC-02'], 'the strictest posture wins and ports are normalised', () => {
    const net = (...scopes: Scope[]): ReturnType<typeof compileScopes> => compileScopes(scopes, ROOT);
    const full = net({ type: 'network', posture: 'full' });
    const list = (...entries: string[]): ReturnType<typeof net> =>
      net({ type: 'network', posture: 'allowlist', entries });
    expect(contains(intersect(full, list('host')), { host: 'host:443' })).toBe(true);
    expect(contains(intersect(list('host:443'), list('https://HOST/')), { host: 'host' })).toBe(true);
    expect(intersect(list('host:80'), list('host')).network.hosts.size).toBe(0);
    expect(intersect(full, net()).network.posture).toBe('off');
    for (const bad of ['*.test', '', 'a b', 'u@h', 'h/path', 'h:99999']) {
      expect(() => list(bad), bad).toThrow(/network scope entry/);
    }
  });
});

describe('scope_boundary', () => {
  verifies(
    ['SC-03'],
    'one missing kind denies although others survive, and says what was asked and left',
    async () => {
      const scopes: Scope[] = [
        write('{sandbox}/out/**'),
        { type: 'network', posture: 'allowlist', entries: ['tickets.internal'] },
      ];
      const gate = await gateOf({
        policy: {
          workspace: layer('workspace', 'w', { rules: [rule()], scopes: [write('{sandbox}/out/**')] }),
        },
      });
      const decision = gate.decide(input());
      expect(decision.verdict).toBe('deny');
      expect(decision.ruleId).toBe('scope_boundary');
      expect(decision.aliases).toEqual(['kernel.scope.boundary']);
      expect(decision.reasons[0]).toBe('SCOPE_DENIED: no scope is left for network');
      expect(decision.attributes['scope_requested']).toEqual(scopes);
      expect(decision.scopes.allowed).toEqual([
        { type: 'path', pattern: '/srv/sandbox/out/**', access: 'write' },
      ]);
    },
  );

  verifies(
    ['SC-01', 'SC-07'],
    'workspace, lane, task and tool narrow each other, whatever the arguments claim',
    async () => {
      const net: Scope = { type: 'network', posture: 'full' };
      const gate = await gateOf({
        policy: {
          workspace: layer('workspace', 'w', { rules: [rule()], scopes: [write('/srv/**'), net] }),
          lanes: { narrow: layer('lane', 'narrow', { scopes: [write('{sandbox}/*/a'), net] }) },
          tasks: {
            'agent-session': layer('task', 'agent-session', { scopes: [write('{sandbox}/out/*'), net] }),
          },
        },
      });
      const at = (lane: string, resolved: string): string => {
        const args = { path: resolved, allowed_scopes: ['/**'], workspace_allowed_scopes: ['/**'] };
        const paths = [{ pointer: '/path', given: resolved, resolved, access: 'write' as const }];
        const session = { id: 's', lane, task: 'agent-session' };
        return gate.decide(input({ args, paths, session })).ruleId;
      };
      expect(at('default', '/srv/sandbox/out/b')).toBe('capability_rule');
      expect(at('narrow', '/srv/sandbox/out/a')).toBe('capability_rule');
      expect(at('narrow', '/srv/sandbox/out/b')).toBe('sandbox_path');
      expect(at('default', '/srv/sandbox/out/b/c')).toBe('sandbox_path');
      expect(at('undeclared', '/srv/sandbox/out/a')).toBe('scope_boundary');
    },
  );

  verifies(['SC-04'], 'no spelling of a write scope covers the reserved directories', () => {
    const load = (scopes: Scope[]): unknown =>
      createGate(config({ capabilities: [capability({ networkAccess: 'none', scopes })] }));
    for (const bad of [
      '/srv/work/.agent-runtime/**',
      '/srv/work/**',
      '/**',
      '/**/x',
      '/srv/*/.agent-runtime/x',
      '/srv/work/.agent-*/x',
      '/srv/work/.AGENT-runtime/x',
      '{sandbox}/.agent-runtime/x',
      '**/.agent-runtime',
      '/srv/work/configs/policy.yaml',
      '/srv/*/configs/**',
      '{sandbox}/../../work/x',
      '/srv/work/\0',
    ]) {
      let thrown: unknown;
      try {
        load([write(bad)]);
      } catch (error) {
        thrown = error;
      }
      expect(thrown, bad).toMatchObject({
        code: 'CONFIGURATION_ERROR',
        details: { rule_id: 'kernel.scope.reserved-path' },
      });
    }
    expect(() => load([write('{sandbox}/**')])).not.toThrow();
    expect(() => load([{ type: 'path', pattern: '/srv/work/**', access: 'read' }])).not.toThrow();
  });
});
