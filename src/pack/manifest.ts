// Owns the pack's manifest: one document, made from the code that it describes, so that the two cannot differ.
import { z } from 'zod';
import { digestJson, sameText } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import { PACK_RECORDS, TASK_TYPE } from './records.ts';
import { turnInputSchema } from './turn/input.ts';
import { turnOutputSchema } from './turn/output.ts';
import { WORKFLOW_RECORDS } from './workflows/events.ts';

export const PACK_ID = 'agent-runtime';
export const CONFIG_KEY = 'agent_runtime';

export interface ManifestParts {
  version: string;
  /** JSON Schema of the configuration under `config_key`. */
  configSchema: JsonObject;
  /** The functions that make the capabilities and the policy; named here by their own names. */
  factories: { capability: { readonly name: string }; policy: { readonly name: string } };
  /** The record types that other rooms append. */
  emittedRecords: readonly string[];
  /** The rules of the gate, in order. */
  policyRules: readonly string[];
  /** Variables that the configured profiles read. */
  requiredEnv: readonly string[];
  /** `host:port` that the configured profiles reach. */
  networkAllowlist: readonly string[];
}

export interface Manifest {
  id: string;
  version: string;
  config_key: string;
  config_schema: JsonObject;
  capability_factory: string;
  policy_factory: string;
  task_types: string[];
  tools: JsonObject[];
  policies: JsonObject[];
  evidence_types: string[];
  /** Names of other systems for evidence, and the records that are it here. */
  evidence_aliases: Record<string, string[]>;
  state_aliases: Record<string, string>;
  lane_templates: JsonObject[];
  /** sha256 over everything above. */
  integrity: string;
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  return z.toJSONSchema(schema, { io }) as unknown as JsonObject;
}

function executeTurnTool(parts: ManifestParts): JsonObject {
  return {
    name: 'agent:execute-turn',
    permission: 'write',
    required_scopes: [
      parts.networkAllowlist.length === 0
        ? { type: 'network', posture: 'off' }
        : { type: 'network', posture: 'allowlist', allowlist_entries: [...parts.networkAllowlist].sort() },
    ],
    required_env: [...parts.requiredEnv].sort(),
    input_schema: schemaOf(turnInputSchema, 'input'),
    output_schema: schemaOf(turnOutputSchema, 'output'),
  };
}

/** A provider is called once in a turn, between these two records; how it went stands in the later one. */
const EVIDENCE_ALIASES: Record<string, (typeof PACK_RECORDS)[number][]> = {
  'agent-runtime.turn': ['turn_started', 'turn_completed', 'turn_failed', 'turn_refused'],
  'agent-runtime.provider-call': ['turn_started', 'turn_completed', 'turn_failed'],
};

function digestOf(manifest: Omit<Manifest, 'integrity'>): string {
  return digestJson(JSON.parse(JSON.stringify(manifest)) as JsonObject);
}

/** The manifest of this pack, with the digest of its own content. */
export function createManifest(parts: ManifestParts): Manifest {
  const content = {
    id: PACK_ID,
    version: parts.version,
    config_key: CONFIG_KEY,
    config_schema: parts.configSchema,
    capability_factory: parts.factories.capability.name,
    policy_factory: parts.factories.policy.name,
    task_types: [TASK_TYPE],
    tools: [executeTurnTool(parts)],
    policies: parts.policyRules.map((id) => ({ id, trigger: 'on_tool_request' })),
    evidence_types: [...PACK_RECORDS, ...WORKFLOW_RECORDS, ...parts.emittedRecords],
    evidence_aliases: EVIDENCE_ALIASES,
    state_aliases: { paused: 'waiting' },
    lane_templates: [{ id: 'default', title: 'Default lane' }],
  };
  return { ...content, integrity: digestOf(content) };
}

function notPinned({ id, version }: Manifest): string {
  return `The manifest of ${id} ${version} is not the one that was pinned: this is other code than was released. Nothing was started.`;
}

/** Throws SPEC_TAMPERED unless the manifest is whole and is the pinned one. There is no value that skips the check. */
export function verifyManifest(
  manifest: Manifest,
  pinned: { id: string; version: string; integrity: string },
): void {
  const { integrity, ...content } = manifest;
  const actual = digestOf(content);
  const isPinned =
    manifest.id === pinned.id &&
    manifest.version === pinned.version &&
    sameText(integrity, actual) &&
    sameText(pinned.integrity, actual);
  if (isPinned) return;
  throw new RuntimeError('SPEC_TAMPERED', notPinned(manifest), {
    pack_id: manifest.id,
    version: manifest.version,
    pinned_version: pinned.version,
    integrity: actual,
    pinned_integrity: pinned.integrity,
  });
}
