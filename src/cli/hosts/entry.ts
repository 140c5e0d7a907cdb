// Owns what stands in a host's file for us: the command that serves, and an existing server's command put behind `wrap`.
import { basename } from 'node:path';
import { VARIABLE_NAME } from '../../config/shape.ts';
import { wrapWord } from '../wrap/name.ts';
import { addMember, prependItems, replaceNode } from './json-edit.ts';
import type { Splice } from './json-edit.ts';
import { member, valueOf } from './json-text.ts';
import type { JsonNode } from './json-text.ts';

/** How this program is started from anywhere: no shell and no PATH are needed. */
export interface Program {
  node: string;
  main: string;
}

export const OUR_NAME = 'agent-runtime';

export function serveEntry(
  { node, main }: Program,
  workspace: string,
  config: string | undefined,
): { command: string; args: string[] } {
  const where = ['--workspace', workspace, ...(config === undefined ? [] : ['--config', config])];
  // The model APIs behind these hosts refuse a colon in a tool's name.
  return { command: node, args: [main, 'serve', ...where, '--tool-names', 'portable'] };
}

function strings(node: JsonNode | undefined): string[] {
  const value = node === undefined ? [] : valueOf(node);
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

/** The arguments of ours in an entry, from the subcommand on; undefined for any other program. */
export function oursOf(entry: JsonNode): string[] | undefined {
  const command = member(entry, 'command');
  const words = [command?.kind === 'scalar' ? String(command.value) : '', ...strings(member(entry, 'args'))];
  const at = words.findIndex(
    (word) =>
      /^agent-runtime(?:\.cmd|\.exe)?$/.test(basename(word)) || /[/\\]dist[/\\]cli[/\\]main\.js$/.test(word),
  );
  const rest = words.slice(at + 1);
  return at >= 0 && ['serve', 'wrap'].includes(rest[0] ?? '') ? rest : undefined;
}

function commandHindrance(entry: JsonNode): string | undefined {
  const command = member(entry, 'command');
  if (command === undefined) return 'names no command: it is reached over a URL';
  if (command.kind !== 'scalar' || typeof command.value !== 'string' || command.value === '') {
    return 'has a command that is not a text';
  }
  const args = member(entry, 'args');
  if (args !== undefined && (args.kind !== 'array' || strings(args).length !== args.items.length)) {
    return 'has args that are not a list of texts';
  }
  // A path may hold a blank; a bare word with one is a line for a shell.
  return /^[^/\\:]*\s/.test(command.value)
    ? 'has a command with a blank: write its words as args first'
    : undefined;
}

/** Why an entry cannot be wrapped; undefined: it can. */
function hindrance(entry: JsonNode): string | undefined {
  if (entry.kind !== 'object') return 'is not an object';
  if (oursOf(entry) !== undefined) return 'is behind agent-runtime already';
  const wrong = commandHindrance(entry);
  if (wrong !== undefined) return wrong;
  if (member(entry, 'envFile') !== undefined) {
    return 'has an envFile, whose names are not known here: list them under env';
  }
  const env = member(entry, 'env');
  if (env !== undefined && env.kind !== 'object') return 'has an env that is not an object';
  const odd = env?.members.some(({ key }) => !VARIABLE_NAME.test(key)) ?? false;
  return odd ? 'has an env with a name that no variable can have' : undefined;
}

/** What `wrap` takes as a name, from what the host calls the server. */
function wrapName(name: string, taken: ReadonlySet<string>): string {
  const base = wrapWord(name) ?? 'server';
  let found = base;
  for (let count = 2; taken.has(found); count++) found = `${base}-${count}`;
  return found;
}

export interface Wrapped {
  name: string;
  as: string;
}

export interface WrapChange {
  splices: Splice[];
  wrapped: Wrapped[];
  left: { name: string; why: string }[];
}

interface WrapAim {
  text: string;
  program: Program;
  workspace: string;
}

function wrapOne({ text, program, workspace }: WrapAim, entry: JsonNode, as: string): Splice[] {
  const command = member(entry, 'command');
  const args = member(entry, 'args');
  const env = member(entry, 'env');
  if (entry.kind !== 'object' || command?.kind !== 'scalar') return [];
  const names = env?.kind === 'object' ? env.members.map(({ key }) => key) : [];
  const ours = [
    ...[program.main, 'wrap', '--name', as, '--workspace', workspace, '--tool-names', 'portable'],
    ...names.flatMap((name) => ['--pass-env', name]),
    ...['--', String(command.value)],
  ];
  const before =
    args?.kind === 'array' ? [prependItems(text, args, ours)] : addMember(text, entry, 'args', ours);
  return [replaceNode(command, program.node), ...before];
}

/** Puts servers behind `wrap`: `only` those named, or all that can be. */
export function wrapServers(
  aim: WrapAim,
  servers: JsonNode,
  only: readonly string[] | undefined,
): WrapChange {
  const change: WrapChange = { splices: [], wrapped: [], left: [] };
  if (servers.kind !== 'object') return change;
  const taken = new Set(
    servers.members.flatMap(({ value }) => {
      const words = oursOf(value) ?? [];
      return words.slice(words.indexOf('--name') + 1).slice(0, words.includes('--name') ? 1 : 0);
    }),
  );
  for (const { key: name, value } of servers.members) {
    if (only !== undefined && !only.includes(name)) continue;
    const why = hindrance(value);
    if (why !== undefined) {
      change.left.push({ name, why });
      continue;
    }
    const as = wrapName(name, taken);
    taken.add(as);
    change.splices.push(...wrapOne(aim, value, as));
    change.wrapped.push({ name, as });
  }
  return change;
}
