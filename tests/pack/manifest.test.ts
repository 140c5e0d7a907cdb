import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createGate } from '../../src/kernel/policy/gate.ts';
import { RULE_ORDER } from '../../src/kernel/policy/decision.ts';
import { KERNEL_RECORDS } from '../../src/kernel/evidence/records.ts';
import { createManifest, createPack, PACK_RECORDS, verifyManifest } from '../../src/pack/index.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, createPackRig, governed, rigConfig, says, user } from './rig.ts';

const PARTS = {
  version: '0.1.0',
  configSchema: { type: 'object', required: ['default_model'] },
  factories: { capability: createPack, policy: createGate },
  kernelRecords: KERNEL_RECORDS,
  policyRules: RULE_ORDER,
  requiredEnv: ['B_KEY', 'A_KEY'],
  networkAllowlist: ['model-provider.invalid:443'],
};

describe('the manifest', () => {
  verifies({ partial: ['LY-09'] }, 'one document, made from the code', () => {
    const manifest = createManifest(PARTS);
    expect(manifest).toMatchObject({
      id: 'agent-runtime',
      version: '0.1.0',
      config_key: 'agent_runtime',
      capability_factory: 'createPack',
      policy_factory: 'createGate',
      task_types: ['agent-session'],
      state_aliases: { paused: 'waiting' },
      integrity: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as unknown,
    });
    expect(manifest.tools).toHaveLength(1);
    expect(manifest.tools[0]).toMatchObject({
      name: 'agent:execute-turn',
      permission: 'write',
      required_env: ['A_KEY', 'B_KEY'],
      required_scopes: [
        { type: 'network', posture: 'allowlist', allowlist_entries: ['model-provider.invalid:443'] },
      ],
    });
    const { input_schema: input, output_schema: output } = manifest.tools[0] as Record<string, JsonObject>;
    expect([input?.additionalProperties, output?.additionalProperties]).toEqual([false, false]);
    expect(Object.keys(input?.properties as JsonObject)).toContain('stream');
    expect(createManifest(PARTS)).toEqual(manifest);
  });

  test('every declared record type of the pack is really emitted, and none besides', async () => {
    const config = rigConfig();
    const rig = createPackRig({ config });
    rig.model.next(says('{"status":"x"}'), governed({ status: 'escalate', assistant_message: 'x' }));
    await rig.fails({ messages: [user('hi')] });
    const { session_id } = await rig.ok({ messages: [user('hi')] });
    await rig.fails({ messages: [], session_id });
    rig.model.next(governed({ status: 'complete', assistant_message: 'x' }));
    await rig.ok({ messages: [user('hi')], session_id });
    const { managed } = rig.pack;
    const io = { signal: new AbortController().signal };
    const start = (over: object): Promise<{ session_id: string }> =>
      managed.create(CALLER, { executeTurnInput: { messages: [user('pay')] }, ...over });
    rig.model.next(asks('pay', { sum: 1 }));
    const { session_id: waiting } = await start({});
    await managed.run(CALLER, waiting, {}, io);
    rig.clock.advance(901_000);
    await managed.run(CALLER, waiting, {}, io);
    await managed.cancel(CALLER, waiting, 'no longer wanted');
    const { session_id: late } = await start({ expiresAt: rig.clock.now() });
    await managed.status(CALLER, late);
    const emitted = new Set(rig.counted.commits.flatMap((one) => one.appends ?? []).map((one) => one.type));
    const ofKernel = new Set<string>(KERNEL_RECORDS);
    expect([...emitted].filter((type) => !ofKernel.has(type)).sort()).toEqual([...PACK_RECORDS].sort());
  });

  test('another content, version or pin is tampering', () => {
    const manifest = createManifest(PARTS);
    const { id, version, integrity } = manifest;
    const pinned = { id, version, integrity };
    expect(() => verifyManifest(manifest, pinned)).not.toThrow();
    const other = createManifest({ ...PARTS, requiredEnv: ['OTHER'] });
    const bad = [
      [other, pinned],
      [{ ...other, integrity }, pinned],
      [manifest, { ...pinned, version: '0.2.0' }],
      [manifest, { ...pinned, integrity: 'dev' }],
      [
        { ...manifest, integrity: 'dev' },
        { ...pinned, integrity: 'dev' },
      ],
    ] as const;
    for (const [given, pin] of bad) {
      expect(() => verifyManifest(given, pin)).toThrow(
        expect.objectContaining({ code: 'SPEC_TAMPERED' }) as Error,
      );
    }
  });

  verifies(
    { partial: ['LY-02'] },
    'of the kernel the pack imports only its words, and no engine, vendor or server',
    () => {
      const root = new URL('../../src/pack/', import.meta.url).pathname;
      const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.ts'),
      );
      const allowed = [
        'kernel/call.ts',
        'kernel/identity.ts',
        'kernel/policy/decision.ts',
        'kernel/approvals/approval.ts',
        'kernel/execution/executor.ts',
        'kernel/evidence/records.ts',
        // Conditions and output schemas of workflows: the kernel's own bounded evaluation, without a decision.
        'kernel/policy/arg-schema.ts',
        'kernel/policy/cel-cost.ts',
        'store/contract.ts',
        'providers/contract.ts',
        'config/types.ts',
        'config/problems.ts',
        'config/yaml.ts',
      ];
      const outside = files.flatMap((name) =>
        [
          ...readFileSync(join(root, name), 'utf8').matchAll(
            /from '(?:\.\.\/)+((?:kernel|store|providers|config|capabilities|server|runtime)\/[^']+)'/g,
          ),
        ].map((match) => match[1] ?? ''),
      );
      expect(outside.length).toBeGreaterThan(20);
      expect([...new Set(outside)].filter((path) => !allowed.includes(path))).toEqual([]);
    },
  );
});
