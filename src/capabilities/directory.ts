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
  const { name, title, description, inputSchema, outputSchema, annotations, icons } = definition;
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
  createToolNames([...out.keys()]);
  return out;
}

/** Throws CONFIGURATION_ERROR when a name means two tools, canonical or portable. */
export function createToolDirectory(
  config: Configured,
  pinFile: PinFile,
  tokens: PathTokens = [],
): PinnedDirectory {
  let known = definitionsOf(config, pinFile, tokens);
  let ordered: ToolDefinition[] = [];
  const take = (next: Map<string, ToolDefinition>): void => {
    known = next;
    ordered = [...known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  };
  take(known);
  return {
    definition: (tool) => known.get(tool),
    all: () => ordered,
    load(next) {
      take(definitionsOf(config, next, tokens));
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
