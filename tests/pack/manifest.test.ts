import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createGate } from '../../src/kernel/policy/gate.ts';
import { RULE_ORDER } from '../../src/kernel/policy/decision.ts';
import { CAPABILITY_RECORDS } from '../../src/capabilities/records.ts';
import { KERNEL_RECORDS } from '../../src/kernel/evidence/records.ts';
import {
  createManifest,
  createPack,
  MANIFEST_PIN,
  PACK_RECORDS,
  verifyManifest,
} from '../../src/pack/index.ts';
import { assertPackIsPinned, packManifest } from '../../src/runtime/pack-manifest.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, createPackRig, governed, rigConfig, says, user } from './rig.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function sources(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
}

const PARTS = {
  version: '0.1.0',
  configSchema: { type: 'object', required: ['default_model'] },
  factories: { capability: createPack, policy: createGate },
  emittedRecords: KERNEL_RECORDS,
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

  verifies(
    ['LY-09'],
    'declares all that the pack is: the shipped document has every part, and each stands for something that exists',
    async () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      const { integrity, ...manifest } = packManifest(version);
      expect(Object.keys(manifest).sort()).toEqual([
        'capability_factory',
        'config_key',
        'config_schema',
        'evidence_aliases',
        'evidence_types',
        'id',
        'lane_templates',
        'policies',
        'policy_factory',
        'state_aliases',
        'task_types',
        'tools',
        'version',
      ]);
      expect(manifest).toMatchObject({ id: 'agent-runtime', version, config_key: 'agent_runtime' });
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(integrity).toMatch(/^sha256:/);
      expect(manifest.config_schema).toMatchObject({
        additionalProperties: false,
        properties: { default_model: {}, models: {}, intents: {}, limits: {} },
      });
      expect([manifest.capability_factory, manifest.policy_factory]).toEqual([
        createPack.name,
        createGate.name,
      ]);
      const [tool, ...others] = manifest.tools;
      expect(others).toEqual([]);
      expect(Object.keys(tool ?? {}).sort()).toEqual([
        'input_schema',
        'name',
        'output_schema',
        'permission',
        'required_env',
        'required_scopes',
      ]);
      expect(manifest.policies.map((one) => one['id'])).toEqual(RULE_ORDER);
      expect(manifest.state_aliases).toEqual({ paused: 'waiting' });
      expect(manifest.lane_templates).toEqual([{ id: 'default', title: 'Default lane' }]);

      // What other systems call a turn and a call of a provider is what one turn really leaves.
      expect(Object.keys(manifest.evidence_aliases)).toEqual([
        'agent-runtime.turn',
        'agent-runtime.provider-call',
      ]);
      const rig = createPackRig();
      const { session_id } = await rig.ok({ messages: [user('hi')] });
      const types = (await rig.records(session_id)).map((one) => one.header.type);
      for (const records of Object.values(manifest.evidence_aliases)) {
        expect(manifest.evidence_types).toEqual(expect.arrayContaining(records));
        expect(types.filter((type) => records.includes(type))).toEqual(['turn_started', 'turn_completed']);
      }
    },
  );

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

  test('the code is the code that was pinned', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { id, integrity } = packManifest(version);
    // Another one after a change on purpose: build, then `node scripts/manifest.mjs --update`.
    expect({ id, version, integrity }).toEqual(MANIFEST_PIN);
    expect(() => assertPackIsPinned(version)).not.toThrow();
    expect(() => assertPackIsPinned('9.9.9')).toThrow(/not the one that was pinned/);
  });

  verifies({ partial: ['LY-09'] }, 'every record that is made anywhere is of a listed type', () => {
    const listed = new Set(packManifest('0.1.0').evidence_types);
    // What a record is made with: the type of an append or of the event that becomes one.
    const made = sources()
      .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
      .flatMap((text) =>
        [...text.matchAll(/\btype: '([a-z]+(?:_[a-z]+)+)'/g)].map((found) => found[1] ?? ''),
      );
    expect(made.length).toBeGreaterThan(100);
    expect([...new Set(made)].filter((type) => !listed.has(type))).toEqual([]);
  });

  // Of the other lists the compiler says that they hold what their rooms make.
  test('every listed record type of the kernel, and of trust in servers, has one place or more that makes it', () => {
    const lists = ['kernel/evidence/records.ts', 'capabilities/records.ts'];
    const text = sources()
      .filter((name) => !lists.includes(name) && !name.endsWith('transition.ts'))
      .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
      .join('\n');
    const { evidence_types: listed } = packManifest('0.1.0');
    expect(
      [...KERNEL_RECORDS, ...CAPABILITY_RECORDS].filter(
        (type) =>
          // A declaration in a union of types ends with a semicolon, and makes nothing.
          !new RegExp(`(?:type: |record\\(\\s*of,\\s*|record\\([^'\\n]*|TYPE = )'${type}'(?!; )`).test(text),
      ),
    ).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });

  test('there is one class of execution: every context has the one task type, and nothing else is called a task', () => {
    const given = sources().flatMap((name) =>
      [...readFileSync(join(ROOT, 'src', name), 'utf8').matchAll(/\btaskType: ([^,;\n]+)/g)].map(
        (found) => found[1] ?? '',
      ),
    );
    expect(given.length).toBeGreaterThan(3);
    expect([...new Set(given)].sort()).toEqual(["'agent-session'", 'TASK_TYPE']);
    expect(packManifest('0.1.0').task_types).toEqual(['agent-session']);
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
        'kernel/evidence/large-result.ts',
        'kernel/evidence/receipts.ts',
        'kernel/catalog/catalog.ts',
        // Conditions and output schemas of workflows: the kernel's own bounded evaluation, without a decision.
        'kernel/policy/arg-schema.ts',
        'kernel/policy/cel-cost.ts',
        // Pure words, read the same way at a turn and at the gate: claims of delegation, and the past that rules look at.
        'kernel/policy/delegation.ts',
        'kernel/policy/past.ts',
        'store/contract.ts',
        'store/chain.ts',
        'providers/contract.ts',
        'config/types.ts',
        'config/problems.ts',
        'config/profile-env.ts',
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
