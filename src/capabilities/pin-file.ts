// Owns the pin file (tools.lock.json): what a person has looked at and accepted, whole definitions included, so that a
// tool list needs no child process and a change can be shown as a difference. Whoever reads or writes it comes in as a port.
import { z } from 'zod';
import { digestJson } from '../base/digest.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { LiveTool } from './definitions.ts';

const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), z.json());

const definitionSchema = z.strictObject({
  name: z.string().min(1).max(128),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: jsonObject,
  outputSchema: jsonObject.optional(),
  annotations: jsonObject.optional(),
  icons: z.array(jsonObject).optional(),
  _meta: jsonObject.optional(),
});

const quarantineSchema = z.strictObject({
  reason: z.string(),
  /** What changed, line by line, with every hidden character shown. */
  diff: z.array(z.string()),
});

const identitySchema = z.union([
  z.strictObject({
    transport: z.literal('stdio'),
    command: z.string(),
    args: z.array(z.string()),
    cwd: z.string().optional(),
  }),
  z.strictObject({ transport: z.literal('http'), url: z.string() }),
]);

const serverPinSchema = z.strictObject({
  identity: identitySchema,
  version: z.string().optional(),
  /** Set when anything of this server was found changed: none of its tools runs until a person pins it again. */
  quarantine: quarantineSchema.optional(),
  tools: z.record(
    z.string(),
    z.strictObject({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), definition: definitionSchema }),
  ),
});

export const pinFileSchema: z.ZodType<PinFile> = z.strictObject({
  version: z.literal(1),
  servers: z.record(z.string(), serverPinSchema),
}) as unknown as z.ZodType<PinFile>;

export type ServerIdentity =
  { transport: 'stdio'; command: string; args: string[]; cwd?: string } | { transport: 'http'; url: string };

export interface ToolPin {
  digest: string;
  definition: LiveTool;
}

export interface Quarantine {
  reason: string;
  diff: string[];
}

export interface ServerPin {
  identity: ServerIdentity;
  /** What the server said of itself; absent where it said none, or was pinned before that was kept. */
  version?: string;
  quarantine?: Quarantine;
  tools: Record<string, ToolPin>;
}

export interface PinFile {
  version: 1;
  servers: Record<string, ServerPin>;
}

export const EMPTY_PIN_FILE: PinFile = { version: 1, servers: {} };

/** Reads and writes the file whole, checked with `pinFileSchema`; `update` is serialised with every other writer. */
export interface PinStore {
  read(): Promise<PinFile>;
  update(change: (current: PinFile) => PinFile): Promise<PinFile>;
}

/** Directories whose absolute place differs from machine to machine, by the token that stands for them in the file. */
export type PathTokens = readonly { path: string; token: string }[];

function fold(text: string, tokens: PathTokens): string {
  let out = text;
  for (const { path, token } of [...tokens].sort((a, b) => b.path.length - a.path.length)) {
    const isWhole = out === path || out.startsWith(`${path}/`) || out.startsWith(`${path}\\`);
    if (path !== '' && isWhole) out = `${token}${out.slice(path.length)}`;
  }
  return out;
}

/** What a server is, apart from what it says: another command, argument, directory or address is another server. */
export function serverIdentity(server: DownstreamServer, tokens: PathTokens = []): ServerIdentity {
  if (server.transport === 'http') return { transport: 'http', url: server.url ?? '' };
  return {
    transport: 'stdio',
    command: fold(server.command ?? '', tokens),
    args: server.args.map((arg) => fold(arg, tokens)),
    ...(server.cwd === undefined ? {} : { cwd: fold(server.cwd, tokens) }),
  };
}

/** The digest that a decision, an approval and a call are bound to. */
export function pinDigest(identity: ServerIdentity, definition: LiveTool): string {
  return digestJson({ server: identity, definition } as unknown as JsonValue);
}
