// Owns the script of a scripted model: its YAML form and schema, and the limits under which an untrusted file is read.
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { RuntimeError } from '../../base/errors.ts';
import { checkJson } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { parseWith } from '../../base/parse.ts';
import { scanYaml } from '../../config/scan.ts';

export interface ScriptTurn {
  /** Every condition must hold. `last_tool`: the newest message is a result of this tool. `contains`: so does its text. */
  when?: { last_tool?: string | undefined; contains?: string | undefined } | undefined;
  reply?: string | undefined;
  status?: 'reply' | 'complete' | 'escalate' | undefined;
  intent?: string | undefined;
  tool_calls?: { name: string; input: JsonObject }[] | undefined;
  finish_reason?: string | undefined;
}

export interface Script {
  version: 1;
  turns: ScriptTurn[];
  fallback?: Omit<ScriptTurn, 'when'> | undefined;
}

const MAX_BYTES = 256 * 1024;

const text = z.string().max(64 * 1024);
const input = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
);
const said = {
  reply: text.optional(),
  status: z.enum(['reply', 'complete', 'escalate']).optional(),
  intent: text.min(1).optional(),
  tool_calls: z
    .array(z.strictObject({ name: text.min(1), input: input.default({}) }))
    .max(64)
    .optional(),
  finish_reason: text.min(1).optional(),
};
const when = z
  .strictObject({ last_tool: text.min(1).optional(), contains: text.min(1).optional() })
  .refine((one) => one.last_tool !== undefined || one.contains !== undefined, 'names no condition');
const schema: z.ZodType<Script> = z.strictObject({
  version: z.literal(1),
  turns: z.array(z.strictObject({ when: when.optional(), ...said })).max(1000),
  fallback: z.strictObject(said).optional(),
});

function refuse(why: string): never {
  throw new RuntimeError('CONFIGURATION_ERROR', `The script of the model ${why}.`, { field: 'script' });
}

async function parseYaml(source: string): Promise<unknown> {
  const { Lexer, LineCounter, parseDocument } = await import('yaml');
  const finding = scanYaml(source, () => new Lexer());
  if (finding !== undefined) refuse(`${finding.message} (line ${finding.place.line})`);
  const lines = new LineCounter();
  try {
    const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) {
      refuse(`is not usable YAML at line ${lines.linePos(problem.pos[0]).line}: ${problem.message}`);
    }
    return document.toJS({ maxAliasCount: 0 });
  } catch (thrown) {
    if (thrown instanceof RuntimeError) throw thrown;
    refuse('is not usable YAML: anchors and aliases are not allowed, and neither is what cannot be read');
  }
}

export async function parseScript(source: string): Promise<Script> {
  if (Buffer.byteLength(source) > MAX_BYTES) refuse(`is larger than ${MAX_BYTES} bytes`);
  const value = await parseYaml(source);
  try {
    return parseWith(schema, checkJson(value), 'CONFIGURATION_ERROR');
  } catch (thrown) {
    if (!(thrown instanceof RuntimeError)) throw thrown;
    throw new RuntimeError(
      'CONFIGURATION_ERROR',
      `The script of the model: ${thrown.message}`,
      thrown.details,
    );
  }
}

export async function readScript(path: string): Promise<Script> {
  let source: string;
  try {
    if ((await stat(path)).size > MAX_BYTES) refuse(`is larger than ${MAX_BYTES} bytes`);
    source = await readFile(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof RuntimeError) throw thrown;
    refuse(`cannot be read: ${path}`);
  }
  return parseScript(source);
}
