// Owns what a host's file is to become: pure, from its text and what was asked for.
import { RuntimeError } from '../../base/errors.ts';
import { OUR_NAME, serveEntry, wrapServers } from './entry.ts';
import type { Program, WrapChange } from './entry.ts';
import type { Host } from './host.ts';
import { addMember, applySplices } from './json-edit.ts';
import type { Splice } from './json-edit.ts';
import { member, readJsonText, valueOf } from './json-text.ts';
import type { JsonNode, JsonText } from './json-text.ts';
import { lineDiff } from './line-diff.ts';
import { masked } from './masked.ts';
import { withBlock } from './toml-block.ts';

export interface Aim {
  host: Host;
  file: string;
  program: Program;
  workspace: string;
  config: string | undefined;
  /** Servers to put behind us: their names, or `all`. undefined: our own entry is written. */
  wrap: readonly string[] | undefined;
}

export type Told = Pick<WrapChange, 'wrapped' | 'left'>;

export interface Plan extends Told {
  after: string;
  /** What a person is shown; nothing secret. */
  diff: string[];
}

const NOTHING: Told = { wrapped: [], left: [] };

function isLenient({ host }: Pick<Aim, 'host'>): boolean {
  return host.format === 'json_with_comments';
}

function read(aim: Pick<Aim, 'host' | 'file'>, text: string): JsonText {
  return readJsonText(aim.file, text.trim() === '' ? '{}\n' : text, isLenient(aim));
}

function refuse({ file }: Aim, text: string, at: number, why: string): never {
  const line = text.slice(0, at).split('\n').length;
  throw new RuntimeError('CONFIGURATION_ERROR', `${file}:${line}: ${why}. Nothing was changed.`, {
    file,
    line,
  });
}

function serveSplices(aim: Aim, { text, root }: JsonText): Splice[] {
  const { host, program, workspace, config } = aim;
  const entry = {
    ...(host.type === undefined ? {} : { type: host.type }),
    ...serveEntry(program, workspace, config),
  };
  if (root.kind !== 'object') refuse(aim, text, root.start, 'the file must hold an object');
  const servers = member(root, host.key);
  if (servers === undefined) return addMember(text, root, host.key, { [OUR_NAME]: entry });
  if (servers.kind !== 'object') refuse(aim, text, servers.start, `${host.key} must be an object`);
  const own = member(servers, OUR_NAME);
  if (own === undefined) return addMember(text, servers, OUR_NAME, entry);
  const isSame = (['command', 'args'] as const).every(
    (key) => JSON.stringify(shown(member(own, key))) === JSON.stringify(entry[key]),
  );
  if (!isSame)
    refuse(aim, text, own.start, `another server is called ${OUR_NAME} here; undo that or rename it`);
  return [];
}

function shown(node: JsonNode | undefined): unknown {
  return node === undefined ? undefined : valueOf(node);
}

function wrapChange(aim: Aim, { text, root }: JsonText, wrap: readonly string[]): WrapChange {
  const { host, program, workspace, file } = aim;
  const servers = member(root, host.key);
  if (servers === undefined || servers.kind !== 'object') {
    throw new RuntimeError('NOT_FOUND', `${file} configures no server to wrap.`, { file });
  }
  const names = servers.members.map(({ key }) => key);
  const only = wrap.includes('all') ? undefined : wrap;
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new RuntimeError(
      'NOT_FOUND',
      `${file} has no server ${unknown}; it has: ${names.join(', ') || 'none'}.`,
      {
        file,
      },
    );
  }
  const change = wrapServers({ text, program, workspace }, servers, only);
  const [left] = change.left;
  if (only !== undefined && left !== undefined) {
    throw new RuntimeError('USAGE', `The server ${left.name} ${left.why}. Nothing was changed.`, { file });
  }
  return change;
}

function tomlPlan({ file, program, workspace, config, wrap, host }: Aim, text: string): Plan {
  if (wrap !== undefined) {
    throw new RuntimeError(
      'USAGE',
      `Servers in ${file} are not rewritten: ${host.label} keeps them in TOML. Put \`agent-runtime wrap --name NAME --\` before the command there by hand.`,
      { file },
    );
  }
  const after = withBlock(file, text, serveEntry(program, workspace, config));
  return { ...NOTHING, after, diff: lineDiff(text, after) };
}

/** Throws CONFIGURATION_ERROR with file and line for a file that is malformed or has no room for us. */
export function planFor(aim: Aim, text: string | undefined): Plan {
  const before = text ?? '';
  if (aim.host.format === 'toml') return tomlPlan(aim, before);
  const file = read(aim, before);
  const told =
    aim.wrap === undefined
      ? { ...NOTHING, splices: serveSplices(aim, file) }
      : wrapChange(aim, file, aim.wrap);
  if (told.splices.length === 0) return { ...told, after: before, diff: [] };
  const after = applySplices(file.text, told.splices);
  const { wrapped, left } = told;
  return { wrapped, left, after, diff: diffOf(aim, text, after) };
}

/** The difference as it may be shown. */
export function diffOf(
  aim: Pick<Aim, 'host' | 'file'>,
  before: string | undefined,
  after: string | undefined,
): string[] {
  const shownText = (text: string | undefined): string => {
    if (text === undefined || text.trim() === '') return '';
    return aim.host.format === 'toml' ? text : masked(readJsonText(aim.file, text, isLenient(aim)));
  };
  return lineDiff(shownText(before), shownText(after));
}
