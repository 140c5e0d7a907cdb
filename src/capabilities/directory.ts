// Owns what the kernel is told about tools: pinned definitions from the pin file and declared ones from our own
// configuration. No child process is started for it.
import { RuntimeError } from '../base/errors.ts';
import { canonicalJson } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { digestJson } from '../base/digest.ts';
import type { Capability, DownstreamServer, RuntimeConfig } from '../config/types.ts';
import { createToolNames, RESERVED_SERVER } from '../kernel/catalog/names.ts';
import type { ToolDefinition, ToolDirectory } from '../kernel/execution/executor.ts';
import type { PinState } from '../kernel/policy/decision.ts';
import { pinDigest, serverIdentity } from './pin-file.ts';
import type { PathTokens, PinFile, ServerPin, ToolPin } from './pin-file.ts';

export interface PinnedDirectory extends ToolDirectory {
  /** Takes another state of the pin file, from now on; throws as `createToolDirectory` does and then keeps the old. */
  load(pinFile: PinFile): void;
  /** Quarantines every pinned tool, until the next `load`. */
  distrust(reason: string): void;
  /** Quarantines one server at once, whatever the file says, until `unhold`. */
  hold(server: string, reason: string): void;
  unhold(server: string): void;
  /** Why nothing may go out to this server now, if so. */
  held(server: string): string | undefined;
}

type Configured = Pick<RuntimeConfig, 'servers' | 'capabilities'>;

/** Why a whole server is not to be trusted, if so: quarantined, or another program than the one that was pinned. */
function serverProblem(server: DownstreamServer, pin: ServerPin, tokens: PathTokens): string | undefined {
  if (pin.quarantine !== undefined) return pin.quarantine.reason;
  const identity = canonicalJson(serverIdentity(server, tokens));
  return identity === canonicalJson(pin.identity)
    ? undefined
    : `the server ${server.name} is not the program that was pinned`;
}

function pinState(pin: ServerPin, tool: ToolPin, problem: string | undefined): PinState {
  if (problem !== undefined) return { state: 'quarantined', reason: problem };
  // A file that was edited by hand, or badly merged, must not pass for what a person accepted.
  return pinDigest(pin.identity, tool.definition) === tool.digest
    ? { state: 'pinned', digest: tool.digest }
    : { state: 'quarantined', reason: 'the pin file holds a definition that does not fit its digest' };
}

function pinnedDefinition(server: string, { definition }: ToolPin, pin: PinState): ToolDefinition {
  const { name, title, description, inputSchema, outputSchema, annotations, icons, _meta } = definition;
  return {
    id: `${server}:${name}`,
    server,
    name,
    ...(title === undefined ? {} : { title }),
    description: description ?? '',
    inputSchema,
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(icons === undefined ? {} : { icons }),
    ...(_meta === undefined ? {} : { _meta }),
    pin,
  };
}

function declaredDefinition(capability: Capability): ToolDefinition {
  const { id, server, tool, description } = capability;
  const inputSchema: JsonObject = capability.inputSchema ?? { type: 'object', additionalProperties: false };
  const parts = { id, description: description ?? '', inputSchema };
  return {
    id,
    ...(server === undefined ? {} : { server }),
    name: tool,
    description: description ?? '',
    inputSchema,
    pin: { state: 'declared', digest: digestJson(parts) },
  };
}

function definitionsOf(
  config: Configured,
  pinFile: PinFile,
  tokens: PathTokens,
): Map<string, ToolDefinition> {
  const out = new Map<string, ToolDefinition>();
  const add = (definition: ToolDefinition): void => {
    if (out.has(definition.id)) {
      throw new RuntimeError('CONFIGURATION_ERROR', `the tool ${definition.id} is defined twice`, {
        tool: definition.id,
      });
    }
    out.set(definition.id, definition);
  };
  for (const [name, server] of Object.entries(config.servers)) {
    if (name === RESERVED_SERVER) {
      throw new RuntimeError('CONFIGURATION_ERROR', `the server name ${name} is reserved`, {
        field: 'servers',
      });
    }
    const pin = Object.hasOwn(pinFile.servers, name) ? pinFile.servers[name] : undefined;
    if (pin === undefined) continue;
    const problem = serverProblem(server, pin, tokens);
    for (const tool of Object.values(pin.tools))
      add(pinnedDefinition(name, tool, pinState(pin, tool, problem)));
  }
  for (const capability of Object.values(config.capabilities)) {
    if (capability.transport === 'in_process' || capability.transport === 'host') {
      add(declaredDefinition(capability));
    }
  }
  // What the catalog does not list is never called, so its name takes none from others.
  createToolNames([...out.keys()].filter((id) => Object.hasOwn(config.capabilities, id)));
  return out;
}

function withHolds(file: PinFile, holds: ReadonlyMap<string, string>): PinFile {
  if (holds.size === 0) return file;
  const servers = Object.entries(file.servers).map(([name, pin]): [string, ServerPin] => {
    const reason = holds.get(name);
    return [name, reason === undefined ? pin : { ...pin, quarantine: { reason, diff: [] } }];
  });
  return { ...file, servers: Object.fromEntries(servers) };
}

/** Throws CONFIGURATION_ERROR when a name means two tools, canonical or portable. */
export function createToolDirectory(
  config: Configured,
  pinFile: PinFile,
  tokens: PathTokens = [],
): PinnedDirectory {
  const holds = new Map<string, string>();
  let loaded = pinFile;
  let known = new Map<string, ToolDefinition>();
  let ordered: ToolDefinition[] = [];
  const take = (next: Map<string, ToolDefinition>): void => {
    known = next;
    ordered = [...known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  };
  const read = (next: PinFile): void => {
    take(definitionsOf(config, withHolds(next, holds), tokens));
    loaded = next;
  };
  read(pinFile);
  return {
    definition: (tool) => known.get(tool),
    all: () => ordered,
    load: read,
    hold(server, reason) {
      holds.set(server, reason);
      read(loaded);
    },
    unhold(server) {
      if (holds.delete(server)) read(loaded);
    },
    held(server) {
      const entry = withHolds(loaded, holds).servers[server];
      return entry?.quarantine?.reason;
    },
    distrust(reason) {
      const pin: PinState = { state: 'quarantined', reason };
      take(
        new Map(
          [...known].map(([id, one]) => [id, one.pin.state === 'declared' ? one : { ...one, pin }] as const),
        ),
      );
    },
  };
}
