// One real child whose tools are what a file says, behind runtimes that share a workspace: each stands for a process.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { CallAnswer } from '../../src/runtime/contract.ts';
import type { PinResult, RuntimeHandle } from '../../src/runtime/options.ts';
import { capability, script, server } from '../capabilities/fixtures.ts';
import { CALLER, configFor, IO, open, place } from './rig.ts';
import type { OpenOptions, Place } from './rig.ts';

export const RUN = { name: 'run', description: 'Runs.', inputSchema: { type: 'object' } };
export const OTHER_TOOL: typeof RUN = { ...RUN, name: 'other' };

export interface PinRig {
  at: Place;
  lock: string;
  config: RuntimeConfig;
  /** What the server lists from its next list on. */
  offer(tools: unknown[]): void;
  /** What it says of itself from its next start on. */
  version(said: string): void;
  process(options?: OpenOptions): Promise<RuntimeHandle>;
}

export function call(runtime: RuntimeHandle, tool = 'hostile:run'): Promise<CallAnswer> {
  return runtime.callCapability(CALLER, { tool, args: {} }, IO);
}

/** What a person does who agrees to what he is shown. */
export async function agree(runtime: RuntimeHandle): Promise<PinResult> {
  return runtime.pin('hostile', (await runtime.pin('hostile')).digest);
}

export async function names(runtime: RuntimeHandle): Promise<string[]> {
  return (await runtime.exposedTools(CALLER)).map(({ id }) => id);
}

export async function pinRig(how: 'listed' | 'announces' = 'listed', ...flags: string[]): Promise<PinRig> {
  const at = await place();
  const file = join(at.root, 'tools.json');
  const offer = (tools: unknown[]): void => writeFileSync(file, JSON.stringify(tools));
  offer([RUN]);
  const base = configFor(at);
  const tools = ['run', 'other'].map((name) => capability('hostile', name, { mode: 'read' }));
  const ids = tools.map(({ id }) => id);
  const config: RuntimeConfig = {
    ...base,
    servers: { hostile: server('hostile', [script('hostile'), how, file, ...flags]) },
    capabilities: Object.fromEntries(tools.map((one) => [one.id, one])),
    agent: { ...base.agent, approvedCapabilities: ids },
    policy: {
      ...base.policy,
      registry: { allowed: ids, denied: [] },
      cycle: { maxRepeats: 100, windowSeconds: 1 },
    },
  };
  return {
    at,
    lock: join(at.workspace, '.agent-runtime', 'tools.lock.json'),
    config,
    offer,
    version: (said) => writeFileSync(`${file}.version`, said),
    process: async (options = {}) => (await open(at, { config, clock: systemClock, ...options })).runtime,
  };
}
