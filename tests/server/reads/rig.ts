// A real runtime over a real server that can be read, behind one stdio connection with a real client.
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { randomIds } from '../../../src/base/ids.ts';
import type { Capability, DownstreamServer, RuntimeConfig } from '../../../src/config/types.ts';
import type { Caller } from '../../../src/kernel/identity.ts';
import type { RuntimeHandle } from '../../../src/runtime/options.ts';
import { serveRuntimeStdio } from '../../../src/server/index.ts';
import { capability, server } from '../../capabilities/fixtures.ts';
import { CALLER, configFor, open, place } from '../../runtime/rig.ts';
import { openPipes } from '../clients.ts';
import type { Pipes } from '../clients.ts';

export const READS: readonly string[] = [
  'resources/read',
  'resources/subscribe',
  'prompts/get',
  'completion/complete',
];
const PROGRAM = fileURLToPath(new URL('reading.mjs', import.meta.url));

export interface ReadsOptions {
  era?: DownstreamServer['era'];
  /** By method; what is absent is not in the catalog. */
  reads?: Record<string, Partial<Capability>>;
  servers?: string[];
  /** Ids that the registry denies. */
  denied?: string[];
}

function allRead(): Record<string, Partial<Capability>> {
  return Object.fromEntries(READS.map((method) => [method, {}]));
}

export async function readsRuntime(options: ReadsOptions = {}): Promise<RuntimeHandle> {
  const { era = 'legacy', reads = allRead(), servers = ['notes'], denied = [] } = options;
  const at = await place();
  const base = configFor(at);
  const entries = servers.flatMap((name) => [
    capability(name, 'poke'),
    ...Object.entries(reads).map(([method, over]) =>
      capability(name, method, { mode: 'read', permission: 'read', ...over }),
    ),
  ]);
  const ids = entries.map(({ id }) => id);
  const config: RuntimeConfig = {
    ...base,
    servers: Object.fromEntries(servers.map((name) => [name, server(name, [PROGRAM], { era })])),
    capabilities: Object.fromEntries(entries.map((one) => [one.id, one])),
    agent: { ...base.agent, approvedCapabilities: ids },
    policy: {
      ...base.policy,
      registry: { allowed: ids, denied },
      cycle: { maxRepeats: 1000, windowSeconds: 1 },
    },
  };
  const { runtime } = await open(at, { config, clock: systemClock });
  for (const name of servers) await runtime.pin(name, (await runtime.pin(name)).digest);
  return runtime;
}

/** One connection of its own to the runtime; ended with the test. */
export async function connectTo(runtime: RuntimeHandle, caller: Caller = CALLER): Promise<Pipes> {
  const pipes = openPipes();
  const serving = await serveRuntimeStdio({
    runtime,
    caller,
    options: { tools: 'gateway', toolNames: 'auto', version: '1.2.3', graceMs: 100 },
    stdin: pipes.toServer,
    stdout: pipes.fromServer,
    log: () => undefined,
    clock: systemClock,
    ids: randomIds,
    stateKeys: { current: new Uint8Array(32).fill(7) },
  });
  onTestFinished(async () => {
    pipes.toServer.end();
    await serving.done;
  });
  return pipes;
}
