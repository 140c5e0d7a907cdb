// Owns where a server works: the directory that it is started in, and that relative paths in the arguments of its tools are
// read from. Whoever starts it, judges its paths or tells of it asks here.
import type { DownstreamServer, RuntimeConfig } from './types.ts';

/** What nobody starts here, as a server over HTTP or a function of ours, reads from the sandbox root. */
export function workingDirectory(
  server: Pick<DownstreamServer, 'cwd' | 'startedIn'> | undefined,
  root: string,
): string {
  return server?.cwd ?? server?.startedIn ?? root;
}

/** Of the server that has a tool. */
export function directoryOfTool(
  { servers, policy }: Pick<RuntimeConfig, 'servers' | 'policy'>,
  { server }: { server?: string },
): string {
  const own = server !== undefined && Object.hasOwn(servers, server) ? servers[server] : undefined;
  return workingDirectory(own, policy.sandbox.root);
}
