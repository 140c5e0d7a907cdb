// Owns the manifest of the pack as it is shipped: made from the code, and refused unless it is the one that was pinned.
import type { JsonObject } from '../base/json.ts';
import { CAPABILITY_RECORDS, CAPABILITY_SESSION_RECORDS } from '../capabilities/records.ts';
import { runtimeFile } from '../config/files/runtime.ts';
import { KERNEL_RECORDS } from '../kernel/evidence/records.ts';
import { RULE_ORDER } from '../kernel/policy/decision.ts';
import { createGate } from '../kernel/policy/gate.ts';
import { CONFIG_KEY, createManifest, verifyManifest } from '../pack/manifest.ts';
import type { Manifest } from '../pack/manifest.ts';
import { MANIFEST_PIN } from '../pack/manifest-pin.ts';
import { createPack } from '../pack/pack.ts';
import { SEGMENT_TYPE } from '../store/contract.ts';
import { CONFIG_RECORDS } from './config-book.ts';

function packConfigSchema(): JsonObject {
  const properties = runtimeFile.jsonSchema()['properties'] as Record<string, JsonObject>;
  return properties[CONFIG_KEY] ?? {};
}

/** The same in every workspace: what a configuration brings in stands as the name of where it comes from. */
export function packManifest(version: string): Manifest {
  return createManifest({
    version,
    configSchema: packConfigSchema(),
    factories: { capability: createPack, policy: createGate },
    emittedRecords: [
      ...KERNEL_RECORDS,
      ...CAPABILITY_RECORDS,
      ...CAPABILITY_SESSION_RECORDS,
      ...CONFIG_RECORDS,
      SEGMENT_TYPE,
    ],
    policyRules: RULE_ORDER,
    requiredEnv: ['{models.api_key_env}'],
    networkAllowlist: ['{models.base_url}'],
  });
}

let verified: string | undefined;

/** Throws SPEC_TAMPERED when the code is not the code that was pinned. Once for a process: code does not change in it. */
export function assertPackIsPinned(version: string): void {
  if (verified === version) return;
  verifyManifest(packManifest(version), MANIFEST_PIN);
  verified = version;
}
