// A runtime over a real server over HTTP that can be made to forget its sessions, with its tools pinned and in the catalog.
import { onTestFinished } from 'vitest';
import type { CapabilitySessionControls, RuntimeConfig } from '../../src/config/types.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import { capability } from '../capabilities/fixtures.ts';
import { httpRelay } from '../capabilities/http-relay.ts';
import type { HttpRelay } from '../capabilities/http-relay.ts';
import { CALLER, configFor, open, place } from './rig.ts';
import type { Bench, OpenOptions, Place } from './rig.ts';

export interface RelayRig extends Bench {
  at: Place;
  relay: HttpRelay;
  config: RuntimeConfig;
  /** Another process over the same workspace. */
  another(over?: Partial<CapabilitySessionControls>, options?: OpenOptions): Promise<Bench>;
  sessions(): Promise<JsonObject[]>;
}

const FREE = ['echo', 'ask'];
const ASKED = 'progress';

export function controlled(config: RuntimeConfig, over: Partial<CapabilitySessionControls>): RuntimeConfig {
  const { controls } = config;
  const capabilitySessions = { ...controls.capabilitySessions, ...over };
  return { ...config, controls: { ...controls, capabilitySessions } };
}

function configOf(at: Place, relay: HttpRelay): RuntimeConfig {
  const base = configFor(at);
  const over = { mode: 'read', transport: 'mcp_http' } as const;
  const all = [
    ...FREE.map((tool) => capability('relay', tool, over)),
    capability('relay', ASKED, { ...over, approval: { approver: 'principal' } }),
  ];
  const ids = all.map(({ id }) => id);
  return {
    ...base,
    servers: { relay: relay.server({ era: 'legacy' }) },
    capabilities: Object.fromEntries(all.map((one) => [one.id, one])),
    agent: { ...base.agent, approvedCapabilities: ids },
    policy: {
      ...base.policy,
      registry: { allowed: ids, denied: [] },
      cycle: { maxRepeats: 100, windowSeconds: 1 },
    },
  };
}

export async function relayRig(
  over: Partial<CapabilitySessionControls> = {},
  options: OpenOptions = {},
): Promise<RelayRig> {
  const at = await place();
  const relay = await httpRelay();
  const config = configOf(at, relay);
  const start = (changes: Partial<CapabilitySessionControls>, more: OpenOptions): Promise<Bench> =>
    open(at, { config: controlled(config, changes), clock: systemClock, ...more });
  const bench = await start(over, options);
  onTestFinished(() => relay.close());
  const { runtime } = bench;
  await runtime.pin('relay', (await runtime.pin('relay')).digest);
  return {
    ...bench,
    at,
    relay,
    config,
    another: (changes = over, more = options) => start(changes, more),
    async sessions() {
      const { items } = await runtime.store.list({
        kind: 'capability_session',
        tenant: CALLER.tenant,
        limit: 20,
      });
      return items.map(({ body }) => body);
    },
  };
}

/** The text of a call's result. */
export function textOf({ result }: CallAnswer): unknown {
  return result?.content[0]?.['text'];
}
