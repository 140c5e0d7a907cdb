// Owns what a command knows of tools without starting any: the pin file of the workspace, or another one that is named.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RuntimeError } from '../base/errors.ts';
import type { Capability, RuntimeConfig } from '../config/types.ts';
import { createToolDirectory } from '../capabilities/directory.ts';
import { EMPTY_PIN_FILE, pinFileSchema } from '../capabilities/pin-file.ts';
import type { PathTokens, PinFile } from '../capabilities/pin-file.ts';
import type { ToolDefinition, ToolDirectory } from '../kernel/execution/executor.ts';
import { openDocument } from '../store/documents/document.ts';
import type { Context } from './context.ts';

export interface PinOptions {
  lock?: string;
  assumePinned?: boolean;
}

export function readPins(context: Context, lock: string | undefined): Promise<PinFile> {
  const path = resolve(lock ?? join(context.workspace, '.agent-runtime', 'tools.lock.json'));
  if (lock !== undefined && !existsSync(path)) {
    throw new RuntimeError('NOT_FOUND', `There is no pin file at ${path}.`, { file: path });
  }
  return openDocument({ path, schema: pinFileSchema, empty: EMPTY_PIN_FILE }).read();
}

export function pathTokens(context: Context, config: RuntimeConfig): PathTokens {
  return [
    { path: config.policy.sandbox.root, token: '{sandbox}' },
    { path: context.workspace, token: '{workspace}' },
    { path: context.packageRoot, token: '{package}' },
  ];
}

/** As if a person had pinned it; without any known schema, every object is taken. */
function assumed(capability: Capability, known: ToolDefinition | undefined): ToolDefinition {
  const { id, server, tool, description, inputSchema } = capability;
  if (known?.pin.state === 'declared') return known;
  const own: ToolDefinition = known ?? {
    id,
    ...(server === undefined ? {} : { server }),
    name: tool,
    description: description ?? '',
    inputSchema: inputSchema ?? { type: 'object' },
    pin: { state: 'unpinned' },
  };
  return { ...own, pin: { state: 'pinned', digest: 'sha256:assumed' } };
}

/** The tools as the pin file and the configuration know them. */
export async function readDirectory(
  context: Context,
  config: RuntimeConfig,
  options: PinOptions,
): Promise<ToolDirectory> {
  const pins = await readPins(context, options.lock);
  const directory = createToolDirectory(config, pins, pathTokens(context, config));
  if (options.assumePinned !== true) return directory;
  const all = Object.values(config.capabilities).map((one) => assumed(one, directory.definition(one.id)));
  const known = new Map(all.map((one) => [one.id, one]));
  return { definition: (tool) => known.get(tool), all: () => all };
}
