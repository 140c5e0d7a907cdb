// Owns the proof that every field of a catalog entry decides or tells something: one call, with the field one way and the other.
import { describe, expect } from 'vitest';
import type { JsonObject } from '../../../src/base/json.ts';
import type { Capability } from '../../../src/config/types.ts';
import { capabilityPage } from '../../../src/inspect/capabilities.ts';
import { verifies } from '../../e2e/verifies.ts';
import { createRig, OK } from '../rig.ts';
import type { Rig } from '../rig.ts';
import { capability, sampleConfig } from '../sample-config.ts';

function rigWith(over: Partial<Capability>): Rig {
  const config = sampleConfig({ capabilities: [capability('tool', { mode: 'write', ...over })] });
  config.policy.registry.allowed.push('tool');
  config.policy.execution.allowNetworkAccess = ['brokered'];
  config.policy.urlAllowlist = ['https://tickets.test', 'https://other.test'];
  return createRig({ config });
}

async function evidence(rig: Rig, type: string): Promise<JsonObject> {
  const found = (await rig.records()).find((one) => one.header.type === type);
  if (found?.evidence.state !== 'present') throw new Error(`no ${type}`);
  return found.evidence.value;
}

const status = async (rig: Rig, args: JsonObject = {}): Promise<string> =>
  (await rig.call('tool', args)).status;

/** The tool never answers; time goes on until the kernel ends it, second by second. */
async function secondsGiven(rig: Rig): Promise<number> {
  let given = -1;
  const began = rig.clock.monotonic();
  rig.tool.run = (_, signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        given = (rig.clock.monotonic() - began) / 1000;
        resolve({
          kind: 'failed',
          code: 'TOOL_TIMEOUT',
          message: 'late',
          sideEffect: 'not_executed',
          notes: [],
        });
      });
      queueMicrotask(() => {
        for (let second = 0; second < 60 && !signal.aborted; second++) rig.clock.advance(1000);
      });
    });
  await rig.call('tool', {});
  return given;
}

async function asked(rig: Rig): Promise<JsonObject> {
  const answer = await rig.call('tool', {});
  if (answer.status !== 'waiting_approval') return { status: answer.status };
  const { approver, requiredAttestation } = answer.approval.subject;
  return { approver, attestation: requiredAttestation };
}

const listed = (rig: Rig): JsonObject =>
  capabilityPage({ config: rig.config, directory: { definition: () => undefined, all: () => [] } }, {})
    .items[0]!;

/** The tool's connection broke after the call had left. */
async function afterLoss(rig: Rig): Promise<string> {
  rig.tool.run = () =>
    Promise.resolve({
      kind: 'failed',
      code: 'DOWNSTREAM_UNAVAILABLE',
      message: 'gone',
      sideEffect: 'side_effect_unknown',
      notes: [],
    });
  return (await rig.call('tool', {})).status;
}

/** How often it is carried out when the same is asked for twice. */
async function effectsOfTwo(rig: Rig): Promise<number> {
  rig.tool.run = () => Promise.resolve(OK);
  await rig.call('tool', { key: 'k', text: 'a' });
  await rig.call('tool', { key: 'k', text: 'a' });
  return rig.effects.length;
}

type Row = [
  field: string,
  one: Partial<Capability>,
  other: Partial<Capability>,
  see: (rig: Rig) => unknown,
  seen: unknown,
  seenOther: unknown,
];

const network = (over: Partial<Capability> = {}): Partial<Capability> => ({
  networkAccess: 'brokered',
  allowedEgress: ['tickets.test'],
  ...over,
});
const askedByManager = { approval: { approver: 'role:manager' } } as const;

const FIELDS: Row[] = [
  ['name', { name: 'one' }, { name: 'two' }, (rig) => listed(rig).name, 'one', 'two'],
  ['owner', { owner: 'bank' }, { owner: 'desk' }, (rig) => listed(rig).owner, 'bank', 'desk'],
  ['mode', { mode: 'read' }, { mode: 'write' }, afterLoss, 'tool_error', 'unknown'],
  ['transport', { transport: 'in_process' }, { transport: 'mcp_http' }, status, 'done', 'denied'],
  ['timeout_seconds', { timeoutSeconds: 10 }, { timeoutSeconds: 3 }, secondsGiven, 10, 3],
  [
    'tool_principal',
    { toolPrincipal: 'svc-a' },
    { toolPrincipal: 'svc-b' },
    async (rig) => (await status(rig), (await evidence(rig, 'call_started')).tool_principal),
    'svc-a',
    'svc-b',
  ],
  [
    'risk_tier',
    { ...askedByManager, risk: 'low' },
    { ...askedByManager, risk: 'critical' },
    asked,
    { approver: 'role:manager', attestation: 'client' },
    { approver: 'role:manager', attestation: 'credential' },
  ],
  ['risk_tier: critical', { risk: 'high' }, { risk: 'critical' }, status, 'done', 'waiting_approval'],
  ['network_access', network(), network({ networkAccess: 'full' }), status, 'done', 'denied'],
  [
    'allowed_egress',
    network(),
    network({ allowedEgress: ['other.test'] }),
    (rig) => status(rig, { url: 'https://tickets.test/1' }),
    'done',
    'denied',
  ],
  ['approval', { approval: 'none' }, askedByManager, status, 'done', 'waiting_approval'],
  [
    'idempotency_key_required',
    {},
    { idempotency: { keyRequired: true, argument: 'key', idempotent: false } },
    effectsOfTwo,
    2,
    1,
  ],
];

describe('every field of the catalog has an effect', () => {
  for (const [field, one, other, see, seen, seenOther] of FIELDS) {
    verifies(['CI-01'], field, async () => {
      expect(await see(rigWith(one))).toEqual(seen);
      expect(await see(rigWith(other))).toEqual(seenOther);
    });
  }
});
