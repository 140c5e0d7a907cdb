// Owns the checks of the catalog against the other files: servers, egress, names that clients will see.
import type { CapabilitiesPart } from './files/capabilities.ts';
import type { PolicyPart } from './files/policy.ts';
import type { ServersPart } from './files/servers.ts';
import { portableName } from '../base/tool-name.ts';
import type { Problems } from './problems.ts';
import { didYouMean } from '../base/suggest.ts';
import type { Capability, Scope } from './types.ts';

const FILE = 'capabilities.yaml';
const TRANSPORTS = { mcp_stdio: 'stdio', mcp_http: 'http' } as const;

function checkServer(one: Capability, servers: ServersPart | undefined, problems: Problems): void {
  const at = ['capabilities', one.name];
  if (one.transport === 'in_process' || one.transport === 'host') {
    if (one.server !== undefined) {
      problems.add(
        FILE,
        [...at, 'server'],
        `has no effect: a tool with transport ${one.transport} has no server`,
      );
    }
    if (one.inputSchema === undefined) {
      problems.add(
        FILE,
        at,
        `input_schema is required: no server declares the arguments of a ${one.transport} tool`,
      );
    }
    return;
  }
  if (one.inputSchema !== undefined) {
    problems.add(
      FILE,
      [...at, 'input_schema'],
      'has no effect: the server declares the arguments of this tool',
    );
  }
  if (one.server === undefined) {
    problems.add(FILE, at, `server is required for transport ${one.transport}`);
    return;
  }
  if (servers === undefined) return;
  const server = servers.get(one.server);
  if (server === undefined) {
    const guess = didYouMean(one.server, servers.keys());
    problems.add(FILE, [...at, 'server'], `"${one.server}" is not a server of servers.yaml${guess}`);
  } else if (server.transport !== TRANSPORTS[one.transport]) {
    problems.add(
      FILE,
      [...at, 'transport'],
      `is ${one.transport}, but the server ${one.server} is reached over ${server.transport}`,
    );
  }
}

function checkEgress(one: Capability, policy: PolicyPart | undefined, problems: Problems): void {
  const at = ['capabilities', one.name];
  if (one.networkAccess === 'none') {
    if (one.allowedEgress.length > 0) {
      problems.add(FILE, [...at, 'allowed_egress'], 'has no effect while network_access is none');
    }
  } else if (one.allowedEgress.length === 0) {
    problems.add(FILE, at, `network_access ${one.networkAccess} needs a non-empty allowed_egress`);
  }
  const isAllowed =
    one.networkAccess === 'none' ||
    policy === undefined ||
    policy.execution.allowNetworkAccess.includes(one.networkAccess);
  if (!isAllowed) {
    problems.add(
      FILE,
      [...at, 'network_access'],
      `${one.networkAccess} is not in execution.allow_network_access of policy.yaml`,
    );
  }
}

function checkNetworkScopes(one: Capability, problems: Problems): void {
  if (one.networkAccess === 'full') return;
  for (const [index, scope] of one.scopes.entries()) {
    if (scope.type !== 'network' || scope.posture === 'off') continue;
    const where = ['capabilities', one.name, 'scopes', index];
    if (scope.posture === 'full') {
      problems.add(FILE, where, 'posture full needs network_access full');
      continue;
    }
    const { entries } = scope as Extract<Scope, { posture: 'allowlist' }>;
    for (const entry of entries) {
      if (!one.allowedEgress.includes(entry))
        problems.add(FILE, where, `"${entry}" is not in allowed_egress`);
    }
  }
}

function checkMeaning(one: Capability, problems: Problems): void {
  const at = ['capabilities', one.name];
  if (one.mode === 'write' && one.permission === 'read') {
    problems.add(FILE, [...at, 'permission'], 'is read, but mode is write');
  }
  if (one.sandboxed && one.transport !== 'mcp_stdio') {
    problems.add(
      FILE,
      [...at, 'sandboxed'],
      `cannot be kept: only mcp_stdio servers run in a sandbox, not ${one.transport}`,
    );
  }
}

function checkIds(capabilities: CapabilitiesPart, problems: Problems): void {
  const ids = new Map<string, string>();
  const portables = new Map<string, string>();
  for (const { name, id } of capabilities.values()) {
    const at = ['capabilities', name];
    const twin = ids.get(id);
    if (twin !== undefined) {
      problems.add(FILE, at, `is the same tool as ${twin}: ${id}`, 'key');
      continue;
    }
    ids.set(id, name);
    const portable = portableName(id);
    const clash = portables.get(portable);
    if (portable.startsWith('agent_')) {
      problems.add(FILE, at, `${portable} begins with agent_, which is reserved for our own tools`, 'key');
    } else if (clash !== undefined) {
      problems.add(FILE, at, `${id} and ${clash} have the same portable name ${portable}`, 'key');
    }
    portables.set(portable, id);
  }
}

export function checkServers(servers: ServersPart, problems: Problems): void {
  if (servers.has('agent')) {
    problems.add(
      'servers.yaml',
      ['servers', 'agent'],
      'agent is a reserved server name: our own tools have it',
      'key',
    );
  }
}

/** Checks what a single file cannot know; `servers` and `policy` are absent when they could not be read. */
export function checkCatalog(
  capabilities: CapabilitiesPart,
  servers: ServersPart | undefined,
  policy: PolicyPart | undefined,
  problems: Problems,
): void {
  if (capabilities.size === 0) {
    problems.add(FILE, ['capabilities'], 'has no capability; a catalog without a tool can run nothing');
  }
  for (const one of capabilities.values()) {
    checkServer(one, servers, problems);
    checkEgress(one, policy, problems);
    checkNetworkScopes(one, problems);
    checkMeaning(one, problems);
  }
  checkIds(capabilities, problems);
}
