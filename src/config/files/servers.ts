// Owns servers.yaml: the downstream MCP servers and how each is started or reached.
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { closed, present, record, refused, serverName, VARIABLE_NAME, whole } from '../shape.ts';
import type { DownstreamServer, SandboxProfile, ValueSource } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { buildProfile, sandboxProfile } from './sandbox-profile.ts';

/** A server as written: `none` is a decision against the profile of runtime-controls.yaml. */
export type ServerPart = Omit<DownstreamServer, 'sandbox'> & {
  sandbox?: SandboxProfile | 'none';
  /** Bounds the calls of its tools; it goes into their own time when the parts are joined. */
  callTimeoutSeconds?: number;
};

/** By name; tokens such as {package} as written. */
export type ServersPart = ReadonlyMap<string, ServerPart>;

const SECRET_NAME = /key|token|secret|password|passphrase|_pass$/i;
// What is called so is a password as often as a place: DB_PWD and PROJECT_PWD, LDAP_PASSWD and NSS_WRAPPER_PASSWD.
const PASSWORD_OR_PLACE = /passwd|_pwd$/i;

/** Whether a variable with such a name and value looks like a secret. */
export function looksSecret(name: string, value: string): boolean {
  return SECRET_NAME.test(name) || (PASSWORD_OR_PLACE.test(name) && !isAbsolute(value));
}

const SECRET_HEADER = /auth|cookie|key|token|secret|password/i;
// What the protocol and the connection set; a configured one would only break them.
const OURS: ReadonlySet<string> = new Set([
  ...['accept', 'connection', 'content-length', 'content-type', 'host', 'mcp-method', 'mcp-name'],
  ...['mcp-protocol-version', 'mcp-session-id', 'last-event-id', 'transfer-encoding'],
]);
const SECRET_ARGUMENT = /^--?[\w-]*(?:key|token|secret|password)[\w-]*[=:]\s*\S/i;

const word = z
  .string()
  .max(4096)
  .refine((text) => !text.includes('\0'), { error: 'must not hold a null character' });

const argument = word.refine((text) => !SECRET_ARGUMENT.test(text), {
  error: 'looks like a secret on a command line, which every process can read; hand it over in env',
});

const anyEnvName = z.string().regex(VARIABLE_NAME, { error: 'must be the name of an environment variable' });

const envValue = z.union(
  [closed({ value: word }), closed({ from_env: anyEnvName }), closed({ from_file: word.min(1) })],
  { error: 'must have exactly one of the keys value, from_env, from_file' },
);

const env = z
  .record(anyEnvName, envValue)
  .superRefine((values, context) => {
    for (const [name, one] of Object.entries(values)) {
      if (!('value' in one) || !looksSecret(name, one.value)) continue;
      const message = `${name} looks like a secret, which must not be written here; use from_env or from_file`;
      context.addIssue({ code: 'custom', path: [name], message });
    }
  })
  .default({})
  .describe('Values for the program: { value }, { from_env } or { from_file }.');

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, { error: 'must be the name of an HTTP header' })
  .refine((name) => !OURS.has(name.toLowerCase()), { error: 'is a header that the protocol itself sends' });

const headerValue = z.union(
  [
    closed({ value: word.max(1000).regex(/^[\t\x20-\x7e]*$/, { error: 'must be plain text' }) }),
    closed({ from_env: anyEnvName, prefix: word.max(50).optional() }),
    closed({ from_file: word.min(1) }),
  ],
  { error: 'must have exactly one of the keys value, from_env, from_file' },
);

const headers = z
  .record(headerName, headerValue)
  .superRefine((values, context) => {
    for (const [name, one] of Object.entries(values)) {
      if (!('value' in one) || !SECRET_HEADER.test(name)) continue;
      const message = `${name} looks like a secret, which must not be written here; use from_env or from_file`;
      context.addIssue({ code: 'custom', path: [name], message });
    }
  })
  .default({})
  .describe('Sent with every request: { value }, { from_env, prefix? } or { from_file }.');

function isServerUrl(text: string): boolean {
  try {
    const url = new URL(text);
    const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
    const hasSecret = [...url.searchParams].some(([name, value]) => looksSecret(name, value));
    return isWeb && url.username === '' && url.password === '' && url.hash === '' && !hasSecret;
  } catch {
    return false;
  }
}

const common = {
  era: z.enum(['auto', 'legacy', 'modern']).default('auto').describe('Protocol generation.'),
  start_timeout_seconds: whole(1, 600).default(10),
  call_timeout_seconds: whole(1, 86_400)
    .optional()
    .describe('A longer call of any of its tools is ended; default: as each capability says.'),
  max_message_bytes: whole(1024, 256 * 1024 * 1024).default(10_485_760),
  max_tools: whole(1, 10_000).default(200),
};

const server = z.discriminatedUnion('transport', [
  closed({
    transport: z.literal('stdio'),
    command: word.min(1).describe('The program; no shell is involved.'),
    args: z.array(argument).max(200).default([]),
    cwd: word
      .min(1)
      .optional()
      .describe('Where it is started and relative paths begin. Default: the sandbox root.'),
    env_allow: z.array(anyEnvName).max(200).default([]).describe('Names copied from our environment.'),
    env,
    sandbox_profile: z
      .union([z.literal('none'), sandboxProfile])
      .optional()
      .describe('Default: the profile of runtime-controls.yaml. none: nothing confines this server.'),
    ...common,
    url: refused('url is for transport http'),
    headers: refused('headers is for transport http'),
  }),
  closed({
    transport: z.literal('http'),
    url: z
      .string()
      .max(2000)
      .refine(isServerUrl, { error: 'must be an http or https URL without user, secret or fragment' }),
    ...common,
    command: refused('command is for transport stdio'),
    args: refused('args is for transport stdio'),
    cwd: refused('cwd is for transport stdio'),
    env_allow: refused('env_allow is for transport stdio'),
    sandbox_profile: refused(
      'sandbox_profile is for transport stdio: another machine is not ours to confine',
    ),
    env: refused('env is for transport stdio'),
    headers,
  }),
]);

const schema = closed({ servers: z.record(serverName, server).default({}) });

function buildValue(raw: z.output<typeof headerValue>): ValueSource {
  if ('value' in raw) return { value: raw.value };
  if ('from_file' in raw) return { fromFile: raw.from_file };
  return present({ fromEnv: raw.from_env, prefix: raw.prefix });
}

function build(name: string, raw: z.output<typeof server>): ServerPart {
  const limits = {
    era: raw.era,
    startTimeoutSeconds: raw.start_timeout_seconds,
    ...(raw.call_timeout_seconds === undefined ? {} : { callTimeoutSeconds: raw.call_timeout_seconds }),
    maxMessageBytes: raw.max_message_bytes,
    maxTools: raw.max_tools,
  };
  if (raw.transport === 'http') {
    const headers = Object.entries(raw.headers).map(([key, one]) => [key, buildValue(one)] as const);
    return {
      name,
      transport: 'http',
      url: raw.url,
      headers: record(headers),
      ...{ args: [], envAllow: [], env: record([]) },
      ...limits,
    };
  }
  const { sandbox_profile: profile } = raw;
  const env = Object.entries(raw.env).map(([key, one]) => [key, buildValue(one)] as const);
  return {
    name,
    transport: 'stdio',
    command: raw.command,
    args: raw.args,
    ...(raw.cwd === undefined ? {} : { cwd: raw.cwd }),
    envAllow: raw.env_allow,
    env: record(env),
    ...(profile === undefined ? {} : { sandbox: profile === 'none' ? profile : buildProfile(profile) }),
    ...limits,
  };
}

export const serversFile: ConfigFile<ServersPart> = defineFile(
  'servers.yaml',
  false,
  schema,
  (raw) => new Map(Object.entries(raw.servers).map(([name, one]) => [name, build(name, one)])),
);
