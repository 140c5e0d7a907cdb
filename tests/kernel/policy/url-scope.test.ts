import { expect, test } from 'vitest';
import { containsHost, networkIntersection } from '../../../src/kernel/scopes/network.ts';
import { parseUrlAllowlist, urlOffences } from '../../../src/kernel/policy/urls.ts';
import { stringLeaves } from '../../../src/kernel/policy/walk.ts';
import { allowlist } from '../../../src/kernel/scopes/network.ts';

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
