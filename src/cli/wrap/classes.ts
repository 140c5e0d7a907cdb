// Owns how a wrapped server's tools are classed: what a person accepted, what is suggested to them, and what holds for a
// tool that nobody has looked at. What was accepted lies in the user's own state directory, because the workspace is
// anybody's who can write to it.
import { join } from 'node:path';
import { z } from 'zod';
import { digestJson } from '../../base/digest.ts';
import type { ToolPin } from '../../capabilities/pin-file.ts';
import { openDocument } from '../../store/documents/document.ts';
import type { Context } from '../context.ts';
import type { WrapTarget } from './target.ts';

/** allow: runs without asking. ask: each call waits for a person. deny: never runs. */
export type ToolClass = 'allow' | 'ask' | 'deny';

export interface Classed {
  class: ToolClass;
  /** Of the definition that the person saw; another definition is asked about again. */
  pin: string;
}

export interface Classes {
  version: 1;
  tools: Record<string, Classed>;
}

const schema: z.ZodType<Classes> = z.strictObject({
  version: z.literal(1),
  tools: z.record(z.string(), z.strictObject({ class: z.enum(['allow', 'ask', 'deny']), pin: z.string() })),
});

export interface ClassStore {
  read(): Promise<Classes>;
  write(tools: Record<string, Classed>): Promise<void>;
}

export function openClasses({ stateDirectory, workspace }: Context, target: WrapTarget): ClassStore {
  const key = digestJson({ workspace, program: target.key }).slice('sha256:'.length, 'sha256:'.length + 32);
  const path = join(stateDirectory, 'wrap', `${target.name}-${key}.json`);
  const document = openDocument<Classes>({ path, schema, empty: { version: 1, tools: {} } });
  return {
    read: () => document.read(),
    async write(tools) {
      await document.update(() => ({ version: 1, tools }));
    },
  };
}

// Servers that are known to tell their reads from their writes rightly, by a word of their command line.
const READS_OF_KNOWN: Readonly<Record<string, readonly string[]>> = {
  'server-filesystem': [
    'read_file',
    'read_text_file',
    'read_media_file',
    'read_multiple_files',
    'list_directory',
    'list_directory_with_sizes',
    'directory_tree',
    'search_files',
    'get_file_info',
    'list_allowed_directories',
  ],
  'server-memory': ['read_graph', 'search_nodes', 'open_nodes', 'resources/read', 'resources/subscribe'],
  'server-everything': [
    'echo',
    'get-annotated-message',
    'get-resource-links',
    'get-resource-reference',
    'get-structured-content',
    'get-sum',
    'get-tiny-image',
    'completion/complete',
    'prompts/get',
    'resources/read',
    'resources/subscribe',
  ],
};

/** A read that stays on this machine, by the tool's own word. */
function saysHarmless({ definition }: ToolPin): boolean {
  const hints = definition.annotations ?? {};
  return hints['readOnlyHint'] === true && hints['openWorldHint'] === false;
}

function isKnownRead({ way }: WrapTarget, tool: string): boolean {
  if (way.transport === 'http') return false;
  const line = [way.command, ...way.args].join(' ');
  return Object.entries(READS_OF_KNOWN).some(([word, reads]) => line.includes(word) && reads.includes(tool));
}

/** What a server on another machine reads may go anywhere from there, whatever it says of itself. */
export function suggestion(target: WrapTarget, tool: string, pin: ToolPin): ToolClass {
  const isHere = target.way.transport === 'stdio';
  return (isHere && saysHarmless(pin)) || isKnownRead(target, tool) ? 'allow' : 'ask';
}

/** What holds for each pinned tool; `trustAnnotations` takes the word of a tool that nobody has classed. */
export function classesInForce(
  pins: Readonly<Record<string, ToolPin>>,
  accepted: Classes,
  trustAnnotations: boolean,
): Map<string, ToolClass> {
  return new Map(
    Object.entries(pins).map(([tool, pin]) => {
      const classed = Object.hasOwn(accepted.tools, tool) ? accepted.tools[tool] : undefined;
      if (classed?.pin === pin.digest) return [tool, classed.class];
      return [tool, trustAnnotations && saysHarmless(pin) ? 'allow' : 'ask'];
    }),
  );
}
