// Owns which sandbox profile a server has, and the checks of profiles against servers and the catalog.
import type { ControlsPart } from './files/controls.ts';
import type { ServerPart } from './files/servers.ts';
import type { Parts } from './parts.ts';
import type { PathPart, Problems } from './problems.ts';
import { placeProblem } from './tokens.ts';
import type { Capability, SandboxProfile } from './types.ts';

/** The server's own profile, else the one for all; undefined: nothing confines it. */
export function profileOf(
  server: ServerPart,
  controls: Pick<ControlsPart, 'sandbox'> | undefined,
): SandboxProfile | undefined {
  if (server.transport !== 'stdio' || server.sandbox === 'none') return undefined;
  return server.sandbox ?? controls?.sandbox;
}

function checkEntries(
  profile: SandboxProfile,
  at: { file: string; path: PathPart[] },
  problems: Problems,
): void {
  for (const [index, { path }] of profile.entries.entries()) {
    const where = [...at.path, 'sandbox_profile', 'workspace', 'entries', index, 'path'];
    const wrong = placeProblem(path);
    if (wrong !== undefined) problems.add(at.file, where, wrong);
    else if (path.split(/[\\/]/).includes('..')) problems.add(at.file, where, 'must not hold ..');
    else if (path.replace(/\/+$/, '') === '') problems.add(at.file, where, 'is everything on this machine');
  }
}

function checkSecrets(server: ServerPart, profile: SandboxProfile, problems: Problems): void {
  if (profile.secrets === 'declared') return;
  const at = ['servers', server.name];
  const why = 'but secrets of its sandbox profile is none; declared lets it have them';
  if (server.envAllow.length > 0) {
    problems.add('servers.yaml', [...at, 'env_allow'], `hands on our environment, ${why}`);
  }
  for (const [name, source] of Object.entries(server.env)) {
    if ('value' in source) continue;
    problems.add('servers.yaml', [...at, 'env', name], `comes from outside, ${why}`);
  }
}

/** `sandboxed` is a promise: it is kept, or nothing runs. */
function checkPromise(one: Capability, parts: Partial<Parts>, problems: Problems): void {
  if (!one.sandboxed || one.transport !== 'mcp_stdio' || one.server === undefined) return;
  const server = parts.servers?.get(one.server);
  if (server === undefined || parts.controls === undefined) return;
  const where = ['capabilities', one.name, 'sandboxed'];
  const profile = profileOf(server, parts.controls);
  if (profile === undefined) {
    problems.add('capabilities.yaml', where, `cannot be kept: ${server.name} has no sandbox_profile`);
  } else if (profile.missing === 'warn') {
    const why = `its sandbox_profile says missing: warn, so ${server.name} may run without one`;
    problems.add('capabilities.yaml', where, `cannot be kept: ${why}`);
  }
}

export function checkSandboxes(parts: Partial<Parts>, problems: Problems): void {
  const { controls, servers, capabilities } = parts;
  if (controls?.sandbox !== undefined) {
    checkEntries(controls.sandbox, { file: 'runtime-controls.yaml', path: ['runtime_controls'] }, problems);
  }
  for (const server of servers?.values() ?? []) {
    const profile = profileOf(server, controls);
    if (profile === undefined) continue;
    if (server.sandbox !== undefined) {
      checkEntries(profile, { file: 'servers.yaml', path: ['servers', server.name] }, problems);
    }
    checkSecrets(server, profile, problems);
  }
  for (const one of capabilities?.values() ?? []) checkPromise(one, parts, problems);
}
