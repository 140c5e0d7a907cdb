// Owns which resources and prompts one connection offers besides our own, and whose each of them is: as their servers
// list them now, in the order of the configuration.
//
// W1  A URI belongs to the first server that lists it. Ours (`agent://`) belong to no server, whatever it lists.
// W2  A prompt goes by its server's name and its own, like a tool; its own name alone counts where only one has it.
import { isSpecType } from '@modelcontextprotocol/server';
import type { Prompt, Resource, ResourceTemplateType } from '@modelcontextprotocol/server';
import type { Caller } from '../../kernel/identity.ts';
import type { ListedReads, Runtime } from '../../runtime/contract.ts';
import type { ToolSet } from '../connection.ts';
import { isOwnResource } from '../resources.ts';
import { portableName } from '../../base/tool-name.ts';

export interface Offered<T> {
  server: string;
  item: T;
}

export interface OfferedPrompt extends Offered<Prompt> {
  /** `server:name`. */
  id: string;
}

/** What stands before the first variable and after the last; a template that begins with a variable names nothing. */
function fits(template: string, uri: string): boolean {
  const open = template.indexOf('{');
  if (open === -1) return template === uri;
  const before = template.slice(0, open);
  const after = template.slice(template.lastIndexOf('}') + 1);
  const isLongEnough = uri.length >= before.length + after.length;
  return before !== '' && isLongEnough && uri.startsWith(before) && uri.endsWith(after);
}

export class ReadTable {
  readonly #runtime: Runtime;
  readonly #caller: Caller;
  /** Whether this connection offers governed reads at all. */
  readonly isOpen: boolean;

  constructor(runtime: Runtime, caller: Caller, set: ToolSet) {
    this.#runtime = runtime;
    this.#caller = caller;
    this.isOpen = set === 'gateway' || set === 'all';
  }

  get offered(): Runtime['reads']['offered'] {
    const { offered } = this.#runtime.reads;
    return this.isOpen ? offered : { resources: false, updates: false, prompts: false, completions: false };
  }

  async resources(signal: AbortSignal): Promise<Offered<Resource>[]> {
    const all = await this.#list('resources', signal, isSpecType.Resource);
    return firstOf(all, ({ uri }) => uri).filter(({ item }) => !isOwnResource(item.uri));
  }

  async templates(signal: AbortSignal): Promise<Offered<ResourceTemplateType>[]> {
    const all = await this.#list('resourceTemplates', signal, isSpecType.ResourceTemplate);
    return firstOf(all, ({ uriTemplate }) => uriTemplate).filter(
      ({ item }) => !isOwnResource(item.uriTemplate),
    );
  }

  async prompts(signal: AbortSignal): Promise<OfferedPrompt[]> {
    const all = await this.#list('prompts', signal, isSpecType.Prompt);
    const named = all.map((one) => ({ ...one, id: `${one.server}:${one.item.name}` }));
    // Two that would be listed under one portable name cannot be told apart by whoever asks.
    return named.filter(
      ({ id }, at) => named.findIndex((one) => portableName(one.id) === portableName(id)) === at,
    );
  }

  /** W1; a URI that no list has is asked of the one server there is, for servers answer more than they list. */
  async serverOf(uri: string, signal: AbortSignal): Promise<string | undefined> {
    if (!this.offered.resources || isOwnResource(uri)) return undefined;
    const servers = await this.#runtime.reads.servers(this.#caller, 'resources/read');
    if (servers.length < 2) return servers[0];
    const listed = (await this.resources(signal)).find(({ item }) => item.uri === uri);
    return listed?.server ?? (await this.#templateFor(uri, signal))?.server;
  }

  /** W2. */
  async prompt(name: string, signal: AbortSignal): Promise<OfferedPrompt | undefined> {
    if (!this.offered.prompts) return undefined;
    const all = await this.prompts(signal);
    const named = all.find(({ id }) => id === name || portableName(id) === name);
    if (named !== undefined) return named;
    const [only, other] = all.filter(({ item }) => item.name === name);
    return other === undefined ? only : undefined;
  }

  async #templateFor(uri: string, signal: AbortSignal): Promise<Offered<ResourceTemplateType> | undefined> {
    const all = await this.templates(signal);
    return all.find(({ item }) => item.uriTemplate === uri || fits(item.uriTemplate, uri));
  }

  async #list<T>(
    kind: ListedReads,
    signal: AbortSignal,
    isOne: (value: unknown) => value is T,
  ): Promise<Offered<T>[]> {
    const { offered } = this;
    if (!(kind === 'prompts' ? offered.prompts : offered.resources)) return [];
    const lists = await this.#runtime.reads.list(this.#caller, kind, signal);
    return lists.flatMap(({ server, items }) => {
      const known: unknown[] = items;
      return known.filter(isOne).map((item) => ({ server, item }));
    });
  }
}

function firstOf<T>(all: readonly Offered<T>[], keyOf: (item: T) => string): Offered<T>[] {
  const first = new Map<string, Offered<T>>();
  for (const one of all) if (!first.has(keyOf(one.item))) first.set(keyOf(one.item), one);
  return [...first.values()];
}
