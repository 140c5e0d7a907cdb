// Owns capabilities.yaml: the catalog of tools.
import { z } from 'zod';
import {
  approval,
  approverOf,
  capabilityName,
  closed,
  host,
  jsonPointer,
  plainId,
  present,
  prose,
  refused,
  semver,
  serverName,
  serverTool,
  whole,
} from '../shape.ts';
import type { Capability, Scope } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { scope } from './scope.ts';

/** By capability name. */
export type CapabilitiesPart = ReadonlyMap<string, Capability>;

const capability = closed({
  description: prose.optional().describe('What the tool does, for people and models.'),
  owner: plainId.describe('The team that answers for the tool.'),
  mode: z.enum(['read', 'write']).describe('write: it changes something outside.'),
  permission: z
    .enum(['read', 'write', 'admin'])
    .optional()
    .describe('Default: the mode. admin needs an operator role.'),
  version: semver
    .optional()
    .describe('Of the contract that this entry states; rules and receipts have it. Default: 0.0.0.'),
  pack: plainId.optional().describe("What it came with. Default: its server, else the agent's id."),
  transport: z.enum(['mcp_stdio', 'mcp_http', 'in_process', 'host']).describe('How the tool is reached.'),
  server: serverName.optional().describe('A name of servers.yaml; for mcp_stdio and mcp_http.'),
  tool: serverTool.optional().describe("The server's own name of the tool. Default: the capability's name."),
  timeout_seconds: whole(1, 86_400).default(10).describe('A longer call is ended.'),
  output_bytes: whole(1, 64 * 1024 * 1024)
    .default(1_048_576)
    .describe('A longer answer is refused.'),
  tool_principal: plainId.describe('The identity under which the tool acts.'),
  risk_tier: z
    .enum(['low', 'medium', 'high', 'critical'])
    .describe('Decides which answers to an approval suffice.'),
  class: z
    .enum(['plain', 'exec'])
    .default('plain')
    .describe("exec: runs code of the caller's choosing; denied unless sandboxed."),
  network_access: z
    .enum(['none', 'restricted', 'brokered', 'full'])
    .describe('Anything but none needs allowed_egress.'),
  allowed_egress: z.array(host).max(200).default([]).describe('Hosts the tool talks to.'),
  approval: approval.default('none').describe('none, principal, other, or a role such as manager.'),
  idempotency_key_required: z.boolean().default(false).describe('A call must bring an idempotency key.'),
  idempotency_argument: z
    .string()
    .min(1)
    .max(100)
    .optional()
    .describe("The argument that carries the key. Default: the call's _meta, else the action digest."),
  idempotent: z.boolean().default(false).describe('Declared safe to run again after a failure.'),
  scopes: z.array(scope).max(100).default([]).describe('What the tool needs; allowed_egress counts too.'),
  path_arguments: z
    .array(closed({ pointer: jsonPointer, access: z.enum(['read', 'write']) }))
    .max(50)
    .default([])
    .describe('Arguments that are paths, beyond what their names say.'),
  url_arguments: z
    .array(jsonPointer)
    .max(50)
    .default([])
    .describe('Arguments that are URLs, beyond what their names say.'),
  argument_roles: z
    .array(closed({ pointer: jsonPointer, role: z.enum(['sink', 'reference', 'content']) }))
    .max(50)
    .default([])
    .describe('sink: steers an effect; reference: an id that was looked up; content: is only carried.'),
  input_schema: z
    .record(z.string(), z.json())
    .optional()
    .describe('JSON Schema of the arguments; for in_process and host.'),
  expose: z.boolean().default(true).describe('Listed to clients of the gateway.'),
  sandboxed: z.boolean().default(false).describe('Runs only where a sandbox is available.'),
  retry_on: refused('retry_on is not supported yet: only `idempotent` decides whether a call is tried again'),
  reconcile_on_unknown: refused(
    'reconcile_on_unknown is not supported yet: an unknown outcome is always settled by a person',
  ),
  requires_manual_recovery: refused(
    'requires_manual_recovery is not supported yet: an unknown outcome is always settled by a person',
  ),
  compensating_action: refused('compensating_action is not supported yet: nothing would run it'),
  external_lookup_key: refused('external_lookup_key is not supported yet: nothing would look it up'),
});

const schema = closed({
  capabilities: z.record(capabilityName, capability).describe('The catalog, by name.'),
});

function scopesOf(raw: z.output<typeof capability>): Scope[] {
  const hasNetwork = raw.scopes.some((one) => one.type === 'network');
  if (hasNetwork || raw.network_access === 'none' || raw.allowed_egress.length === 0) return raw.scopes;
  return [...raw.scopes, { type: 'network', posture: 'allowlist', entries: raw.allowed_egress }];
}

function build(name: string, raw: z.output<typeof capability>): Capability {
  const isServed = raw.transport === 'mcp_stdio' || raw.transport === 'mcp_http';
  const tool = raw.tool ?? name;
  return present({
    name,
    id: isServed && raw.server !== undefined ? `${raw.server}:${tool}` : name,
    owner: raw.owner,
    mode: raw.mode,
    permission: raw.permission ?? raw.mode,
    version: raw.version ?? '0.0.0', // not in the schema: a digest that is trusted stays what it is
    pack: raw.pack ?? raw.server ?? '', // an empty one becomes the agent's id when the files are joined
    transport: raw.transport,
    server: raw.server,
    tool,
    timeoutSeconds: raw.timeout_seconds,
    outputBytes: raw.output_bytes,
    toolPrincipal: raw.tool_principal,
    risk: raw.risk_tier,
    class: raw.class,
    networkAccess: raw.network_access,
    allowedEgress: raw.allowed_egress,
    approval: raw.approval === 'none' ? ('none' as const) : { approver: approverOf(raw.approval) },
    idempotency: present({
      keyRequired: raw.idempotency_key_required,
      argument: raw.idempotency_argument,
      idempotent: raw.idempotent,
    }),
    scopes: scopesOf(raw),
    pathArguments: raw.path_arguments,
    urlArguments: raw.url_arguments,
    argumentRoles: raw.argument_roles.length === 0 ? undefined : raw.argument_roles,
    inputSchema: raw.input_schema,
    description: raw.description,
    expose: raw.expose,
    sandboxed: raw.sandboxed,
  });
}

export const capabilitiesFile: ConfigFile<CapabilitiesPart> = defineFile(
  'capabilities.yaml',
  true,
  schema,
  (raw) => new Map(Object.entries(raw.capabilities).map(([name, one]) => [name, build(name, one)])),
);
