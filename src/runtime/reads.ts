// Owns what a caller sees of the resources and prompts of governed servers: only of those whose reads policy leaves
// reachable, in the order of the configuration. Reading itself is a call through the door.
import { asRuntimeError } from '../base/errors.ts';
import { Reads } from '../capabilities/reads/reads.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { isRead } from '../kernel/catalog/reads.ts';
import type { ReadMethod } from '../kernel/catalog/reads.ts';
import type { Kernel } from '../kernel/create-kernel.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Pack } from '../pack/index.ts';
import type { GovernedReads, ListedReads, ReadsOffered } from './contract.ts';
import type { Log } from './options.ts';
import type { Pinning } from './pinning.ts';

interface Parts {
  config: RuntimeConfig;
  kernel: Kernel;
  pack: Pack;
  downstreams: Downstreams;
  pinning: Pick<Pinning, 'directory'>;
  options: { log?: Log };
}

const NEEDS: Readonly<Record<ListedReads, ReadMethod>> = {
  resources: 'resources/read',
  resourceTemplates: 'resources/read',
  prompts: 'prompts/get',
};

function offeredBy({ capabilities }: RuntimeConfig): ReadsOffered {
  const exposed = Object.values(capabilities).filter((one) => one.expose && isRead(one));
  const has = (tool: ReadMethod): boolean => exposed.some((one) => one.tool === tool);
  return {
    resources: has('resources/read'),
    updates: has('resources/subscribe'),
    prompts: has('prompts/get'),
    completions: has('completion/complete'),
  };
}

/** Starts nothing. */
export function createGovernedReads(parts: Parts): GovernedReads {
  const { config, kernel, pack, pinning, downstreams } = parts;
  const log = parts.options.log ?? ((): void => undefined);
  const isPerCall = config.controls.capabilitySessions.mode === 'per_call';
  const reads = new Reads({
    downstreams,
    isPerCall,
    held: (server) => pinning.directory.held(server),
  });
  const order = Object.keys(config.servers);

  const servers = async (caller: Caller, method: ReadMethod): Promise<string[]> => {
    const { context, session } = await pack.directView(caller);
    const reachable = await kernel.tools(context, session);
    const found = new Set(
      reachable.flatMap(({ definition: { id } }) => {
        const capability = config.capabilities[id];
        return capability?.expose === true && capability.tool === method ? [capability.server] : [];
      }),
    );
    return order.filter((name) => found.has(name));
  };

  return {
    offered: offeredBy(config),
    servers,
    async list(caller, kind, signal) {
      const names = await servers(caller, NEEDS[kind]);
      return Promise.all(
        names.map(async (server) => {
          try {
            return { server, items: await reads.list(kind, { server, who: caller, signal }) };
          } catch (thrown) {
            // One bad server never takes the rest.
            const { code, message } = asRuntimeError(thrown);
            if (!signal.aborted) log('warn', `${server} shows no ${kind}`, { server, code, reason: message });
            return { server, items: [] };
          }
        }),
      );
    },
    watch: (caller, { server, uri, signal }, notify, onEnd) =>
      reads.watch(uri, { server, who: caller, signal }, notify, onEnd),
    onListChanged: (caller, listener) =>
      reads.listen(caller, ({ kind }) => {
        if (kind !== 'updated') listener(kind);
      }),
  };
}
