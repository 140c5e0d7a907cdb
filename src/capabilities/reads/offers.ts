// Owns what a server that offers more than tools is pinned with: one definition for each kind of read, in our words. It is
// accepted, changed and quarantined like a tool; what stands in the server's lists changes daily and is not pinned.
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { isReadMethod } from '../../kernel/catalog/reads.ts';
import type { ReadMethod } from '../../kernel/catalog/reads.ts';
import type { LiveList, LiveTool } from '../definitions.ts';

const text: JsonObject = { type: 'string', minLength: 1 };
const place: JsonObject = {
  type: 'object',
  properties: { resource: text, path: text, url: text },
  required: ['resource'],
  additionalProperties: false,
};

const DEFINITIONS: Readonly<Record<ReadMethod, { description: string; inputSchema: JsonObject }>> = {
  'resources/read': {
    description: 'Reads one of the resources that this server lists, or that a template of it names.',
    inputSchema: place,
  },
  'resources/subscribe': {
    description: 'Tells when a resource of this server changes; the content is read on its own.',
    inputSchema: place,
  },
  'prompts/get': {
    description: 'Gets one of the prompts that this server lists, filled in with arguments.',
    inputSchema: {
      type: 'object',
      properties: {
        prompt: text,
        arguments: { type: 'object', additionalProperties: { type: 'string' } },
      },
      required: ['prompt'],
      additionalProperties: false,
    },
  },
  'completion/complete': {
    description: 'Suggests values for an argument of a prompt or of a resource template of this server.',
    inputSchema: {
      type: 'object',
      properties: {
        prompt: text,
        template: text,
        argument: {
          type: 'object',
          properties: { name: { type: 'string' }, value: { type: 'string' } },
          required: ['name', 'value'],
          additionalProperties: false,
        },
        context: { type: 'object' },
      },
      required: ['argument'],
      additionalProperties: false,
    },
  },
};

/** What a server says that it can do. */
export interface ServerOffers {
  tools?: unknown;
  resources?: unknown;
  prompts?: unknown;
  completions?: unknown;
}

function offered({ resources, prompts, completions }: ServerOffers): ReadMethod[] {
  const hasUpdates = isObject(resources) && resources['subscribe'] === true;
  return [
    ...(resources === undefined ? [] : (['resources/read'] as const)),
    ...(hasUpdates ? (['resources/subscribe'] as const) : []),
    ...(prompts === undefined ? [] : (['prompts/get'] as const)),
    ...(completions === undefined ? [] : (['completion/complete'] as const)),
  ];
}

/** Whether there is a list of tools to ask for: one that offers other things and no tools has none. */
export function hasTools(offers: ServerOffers): boolean {
  return offers.tools !== undefined || offered(offers).length === 0;
}

/** The list with the reads among its tools; a tool that goes by a read's name is refused. */
export function withReads(list: LiveList, offers: ServerOffers): LiveList {
  const taken = list.tools.filter(({ name }) => isReadMethod(name));
  const reads = offered(offers).map((name): LiveTool => {
    return { name, ...DEFINITIONS[name], annotations: { readOnlyHint: true } };
  });
  if (reads.length === 0 && taken.length === 0) return list;
  const tools = [...list.tools.filter(({ name }) => !isReadMethod(name)), ...reads];
  const why = 'its name is that of a method of the protocol';
  return {
    tools: tools.sort((a, b) => (a.name < b.name ? -1 : 1)),
    refused: [...list.refused, ...taken.map(({ name }) => ({ name, why }))],
  };
}
