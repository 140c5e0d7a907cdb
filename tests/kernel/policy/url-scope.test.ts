import { expect, test } from 'vitest';
import { containsHost, networkIntersection } from '../../../src/kernel/scopes/network.ts';
import { parseUrlAllowlist, urlOffences } from '../../../src/kernel/policy/urls.ts';
import { stringLeaves } from '../../../src/kernel/policy/walk.ts';
import { allowlist } from '../../../src/kernel/scopes/network.ts';
import type { JsonObject } from '../../../src/base/json.ts';
import type { Capability } from '../../../src/config/types.ts';
import type { Decision } from '../../../src/kernel/policy/decision.ts';
import { verifies } from '../../e2e/verifies.ts';
import { capability, gateOf, input } from './fixtures.ts';

const LISTED = parseUrlAllowlist(['https://docs.internal', 'http://h.example:8080']);
const TOOL = { declared: [], usesNetwork: true };

test('a listed URL must also lie in the network scope that all layers leave', () => {
  const network = networkIntersection(
    allowlist(['docs.internal', 'h.example:8080']),
    allowlist(['docs.internal']),
  );
  const inForce = (host: string): boolean => containsHost(network, host);
  const judge = (url: string): (string | undefined)[] =>
    urlOffences(stringLeaves({ url }), LISTED, TOOL, inForce).map((one) => one.why);
  expect(judge('https://docs.internal/a')).toEqual([]);
  expect(judge('http://h.example:8080/')).toEqual(['is outside the network scope in force']);
});

test('the key of a map is a URL beneath one, where it is declared, and where it looks like one', () => {
  const judge = (args: JsonObject, over: { declared?: string[][]; usesNetwork?: boolean } = {}): string[] =>
    urlOffences(stringLeaves(args), LISTED, { ...TOOL, ...over }).map(({ pointer }) => pointer);
  const evil = 'https://evil.example/';
  const offline = { usesNetwork: false };
  expect(judge({ links: { [evil]: 1 } }, offline)).toEqual(['/links/https:~1~1evil.example~1']);
  expect(judge({ page: { [evil]: 1 } })).toEqual(['/page/https:~1~1evil.example~1']);
  expect(judge({ page: { [evil]: 1 } }, { ...offline, declared: [['page']] })).toHaveLength(1);
  expect(judge({ page: { [evil]: 1 } }, offline)).toEqual([]);
  expect(judge({ links: { 'https://docs.internal/a': 1, self: 'https://docs.internal/b' } })).toEqual([]);
});

verifies(
  { partial: ['CI-09'] },
  'allowed_egress narrows network access of every class, also full',
  async () => {
    const of = async (over: Partial<Capability>, url: string): Promise<Decision> => {
      const networkAccess = 'full' as const;
      const made = capability({ networkAccess, scopes: [], allowedEgress: ['tickets.internal'], ...over });
      const gate = await gateOf({
        capabilities: [made],
        policy: { execution: { allowNetworkAccess: ['full', 'brokered'] } },
      });
      return gate.decide(input({ capability: made, args: { title: 'x', url } }));
    };
    const beyond = 'https://docs.internal/';
    for (const networkAccess of ['full', 'brokered'] as const) {
      expect((await of({ networkAccess }, 'https://tickets.internal/')).verdict).toBe('allow');
      expect(await of({ networkAccess }, beyond)).toMatchObject({ verdict: 'deny', ruleId: 'url_allowlist' });
    }
    // Only a network scope that the tool itself declares says more than the list of its egress.
    expect((await of({ scopes: [{ type: 'network', posture: 'full' }] }, beyond)).verdict).toBe('allow');
  },
);
