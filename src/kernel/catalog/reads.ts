// Owns which methods of a server are reads that are no tools, and the words in which a call of one is decided: what is
// asked for stands in the arguments as what it is, so that the rules about paths and addresses see it.
//
// V1: a resource that is a file has its `path` beside it, one that is an address its `url`; arguments that name a resource
//     and leave that out, or say another, are no read.
import { fileURLToPath } from 'node:url';
import { canonicalJson, isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';

export const READ_METHODS = [
  'resources/read',
  'resources/subscribe',
  'prompts/get',
  'completion/complete',
] as const;
export type ReadMethod = (typeof READ_METHODS)[number];

export function isReadMethod(tool: string): tool is ReadMethod {
  return (READ_METHODS as readonly string[]).includes(tool);
}

/** Whether a catalog entry is a read of its server and no tool. */
export function isRead({ server, tool }: { server?: string; tool: string }): boolean {
  return server !== undefined && isReadMethod(tool);
}

/** Whether what is asked for is a name of the server's own, beside which an address stands as `url` (V1). */
export function namesItsPlace(capability: { server?: string; tool: string }): boolean {
  return isRead(capability) && capability.tool !== 'prompts/get';
}

const ADDRESS: ReadonlySet<string> = new Set(['http:', 'https:', 'ws:', 'wss:', 'ftp:']);

function pathOf(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch {
    // On another host, or not a path of this system: as it stands it leads nowhere that is allowed.
    return uri;
  }
}

/** What a resource is to policy; undefined for a text that is no URI. */
function placed(uri: string): JsonObject | undefined {
  let protocol: string;
  try {
    ({ protocol } = new URL(uri));
  } catch {
    return undefined;
  }
  if (protocol === 'file:') return { resource: uri, path: pathOf(uri) };
  return ADDRESS.has(protocol) ? { resource: uri, url: uri } : { resource: uri };
}

function refArgs(ref: unknown): JsonObject | undefined {
  if (!isObject(ref)) return undefined;
  if (ref['type'] === 'ref/prompt' && typeof ref['name'] === 'string') return { prompt: ref['name'] };
  return typeof ref['uri'] === 'string' ? { template: ref['uri'] } : undefined;
}

/** The governed arguments of a request's parameters; undefined for parameters that are none. */
export function readArgs(
  method: ReadMethod,
  params: Readonly<Record<string, unknown>>,
): JsonObject | undefined {
  const { uri, name, arguments: given, ref, argument, context } = params;
  switch (method) {
    case 'resources/read':
    case 'resources/subscribe':
      return typeof uri === 'string' ? placed(uri) : undefined;
    case 'prompts/get':
      if (typeof name !== 'string') return undefined;
      return { prompt: name, ...(isObject(given) ? { arguments: given as JsonObject } : {}) };
    case 'completion/complete': {
      const about = refArgs(ref);
      if (about === undefined || !isObject(argument)) return undefined;
      return {
        ...about,
        argument: argument as JsonObject,
        ...(isObject(context) ? { context: context as JsonObject } : {}),
      };
    }
  }
}

function paramsOf(method: ReadMethod, args: JsonObject): JsonObject {
  const { resource, prompt, template, path: _path, url: _url, ...rest } = args;
  switch (method) {
    case 'resources/read':
    case 'resources/subscribe':
      return { uri: resource ?? null };
    case 'prompts/get':
      return { ...rest, name: prompt ?? null };
    case 'completion/complete':
      return {
        ...rest,
        ref:
          prompt === undefined
            ? { type: 'ref/resource', uri: template ?? null }
            : { type: 'ref/prompt', name: prompt },
      };
  }
}

/** What goes out for arguments that were decided on; undefined when they are not what `readArgs` makes (V1). */
export function readParams(method: ReadMethod, args: JsonObject): JsonObject | undefined {
  const params = paramsOf(method, args);
  const made = readArgs(method, params);
  return made !== undefined && canonicalJson(made) === canonicalJson(args) ? params : undefined;
}
