// Owns promises of the shipped configuration that an attack once found unkept.
import { expect, test } from 'vitest';
import { capability, sampleConfig } from '../kernel/sample-config.ts';
import { createRig } from '../kernel/rig.ts';

// "The call after max_repeats equal ones within the window is denied", and not the first of the next window.
test('equal calls of an earlier window do not count as a cycle', async () => {
  const rig = createRig({
    config: sampleConfig({ policy: { cycle: { maxRepeats: 1, windowSeconds: 600 } } }),
  });
  expect((await rig.call('look', { q: 1 })).status).toBe('done');
  rig.clock.advance(1_200_000);
  expect((await rig.call('look', { q: 1 })).status).toBe('done');
});

// "allowed_egress above counts as a network scope", also where network_access is full.
test('a tool of network access full is held to its allowed_egress', async () => {
  const fetch = capability('fetch', { networkAccess: 'full', allowedEgress: ['docs.internal'] });
  const policy = {
    registry: { allowed: ['fetch'], denied: [] },
    urlAllowlist: ['https://docs.internal', 'https://tickets.internal'],
    execution: { allowNetworkAccess: ['full'] },
  };
  const rig = createRig({ config: sampleConfig({ capabilities: [fetch], policy }) });
  expect((await rig.call('fetch', { url: 'https://docs.internal/a' })).status).toBe('done');
  expect((await rig.call('fetch', { url: 'https://tickets.internal/a' })).status).toBe('denied');
});
