// Owns the proof that a text of a caller is redacted before a decision cuts it: a secret that was cut is not known.
import { expect, test } from 'vitest';
import type { RuntimeConfig } from '../../../src/config/types.ts';
import { createRedactor } from '../../../src/kernel/evidence/redact.ts';
import type { DecisionInput } from '../../../src/kernel/policy/decision.ts';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import { capability, config, input, SCHEMA } from './fixtures.ts';

const SECRET = 'canary-secret-value';
const KEY = 'AKIAABCDEFGHIJKLMNOP';

async function said(over: Partial<DecisionInput>): Promise<string> {
  const own = capability();
  const redactor = createRedactor({ secrets: [SECRET], fields: [], patterns: [] });
  const made = {
    ...config({ capabilities: [own] }),
    identity: { delegations: [] },
    controls: { delegation: { authorizationMode: 'any', onRevoke: 'cancel' } },
  } as unknown as RuntimeConfig;
  const gate = createGate(made, { redact: redactor.text });
  await gate.prepare({ inputSchema: SCHEMA });
  const decision = gate.decide(input({ capability: own, inputSchema: SCHEMA, ...over }));
  expect(decision.verdict).toBe('deny');
  return JSON.stringify(decision);
}

/** A text of which a cut at `most` would leave a piece of the secret. */
const around = (most: number): string => `${'x'.repeat(most - 10)}${SECRET}`;

test.each(['mode', 'delegatedPrincipalId', 'delegatedScope'])(
  'a claim of authority leaves no piece of a secret in its %s',
  async (part) => {
    const claim = { mode: 'user_delegated', delegatedPrincipalId: 'anna', delegatedScope: 'desk' };
    const text = await said({ delegation: { ...claim, [part]: around(120) } as DecisionInput['delegation'] });
    expect(text).toContain('policy.authorization_mode');
    expect(text).not.toContain('canary');
  },
);

test('the scheme of an address leaves no piece of a secret', async () => {
  const text = await said({ args: { title: 'x', count: 2, url: `${around(40)}:x` } });
  expect(text).toContain('has the scheme');
  expect(text).not.toContain('canary');
});

test.each([SECRET.toUpperCase(), KEY])(
  'the host of an address holds no secret in lower case: %s',
  async (secret) => {
    const text = await said({ args: { title: 'x', count: 2, url: `https://${secret}.evil.example/` } });
    expect(text).toContain('evil.example');
    expect(text.toLowerCase()).not.toContain(secret.toLowerCase());
  },
);

test('an error inside leaves no piece of a secret', async () => {
  const args = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error(around(160));
      },
    },
  );
  const text = await said({ args });
  expect(text).toContain('kernel_error');
  expect(text).not.toContain('canary');
});
