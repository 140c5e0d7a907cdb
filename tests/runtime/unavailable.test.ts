// A server that is down: its tools stay listed and say why, health names it, the other servers' tools are as they were, and
// all of it is over when it comes up again.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { capability, probe } from '../capabilities/fixtures.ts';
import { verifies } from '../e2e/verifies.ts';
import { agree, call, pinRig, RUN } from './pins-rig.ts';
import { CALLER, IO } from './rig.ts';

async function listed(runtime: RuntimeHandle, id: string): Promise<JsonObject> {
  const { items } = await runtime.listCapabilities(CALLER, { filter: { tool: id } });
  return items[0] as JsonObject;
}

async function down(runtime: RuntimeHandle): Promise<string[]> {
  const { checks } = await runtime.getHealth(CALLER);
  return checks.filter(({ check }) => check === 'servers').map(({ detail }) => detail);
}

verifies(
  { partial: ['HE-01', 'HE-04'] },
  'the tools of a server that is down are listed with the reason',
  async () => {
    const rig = await pinRig();
    const { servers, capabilities, agent, policy } = rig.config;
    const echo = capability('probe', 'echo', { mode: 'read' });
    const ids = [...agent.approvedCapabilities, echo.id];
    const runtime = await rig.process({
      config: {
        ...rig.config,
        servers: { ...servers, probe: probe() },
        capabilities: { ...capabilities, [echo.id]: echo },
        agent: { ...agent, approvedCapabilities: ids },
        policy: { ...policy, registry: { allowed: ids, denied: [] } },
      },
    });
    expect(await listed(runtime, 'hostile:run')).toMatchObject({
      available: false,
      unavailable_because: 'nobody has agreed to its definition yet',
    });
    await agree(runtime);
    await runtime.pin('probe', (await runtime.pin('probe')).digest);
    await runtime.close();

    const file = join(rig.at.root, 'tools.json');
    rmSync(file);
    const later = await rig.process({ config: runtime.config });
    expect(await listed(later, 'hostile:run')).toMatchObject({ available: true });
    expect(await call(later)).toMatchObject({ status: 'tool_error', side_effect_status: 'not_executed' });
    const found = await listed(later, 'hostile:run');
    expect(found).toMatchObject({ available: false, pin: 'pinned' });
    expect(found.unavailable_because).toMatch(/^the server hostile is down: ./);
    expect(await down(later)).toEqual([expect.stringMatching(/^hostile is down: ./)]);
    const { state } = await later.inspect(CALLER, 'capability', 'hostile:run');
    expect(state).toMatchObject({ available: false, server: { state: 'failed' } });

    const other = await later.callCapability(CALLER, { tool: 'probe:echo', args: { text: 'a' } }, IO);
    expect(other).toMatchObject({ status: 'done' });
    expect(await listed(later, 'probe:echo')).toMatchObject({ available: true });

    rig.offer([RUN]);
    // It is not started again before its rest is over.
    await expect.poll(async () => (await call(later)).status, { timeout: 10_000 }).toBe('done');
    expect(await listed(later, 'hostile:run')).toMatchObject({ available: true });
    expect(await down(later)).toEqual([]);
  },
);
