// Owns the words of `init`: its flags and what its help says of the files of hosts.
import { HOST_IDS } from './hosts/host.ts';
import { collect, option } from './leaf.ts';
import type { Leaf } from './leaf.ts';

const INIT_NOTES =
  'Nothing that exists in the workspace is overwritten. With --host the change is shown first, without the values of ' +
  'environments and headers, and the file as it was is kept in the state directory. Workspace files: claude-code ' +
  '.mcp.json, vscode .vscode/mcp.json, cursor .cursor/mcp.json. User files: claude-desktop ' +
  'claude_desktop_config.json, codex ~/.codex/config.toml.';

export const INIT_LEAF: Leaf = {
  name: 'init',
  summary: 'copy the bundled example into the workspace, or with --host add the runtime to an MCP host',
  example: 'init --host claude-code --workspace ~/project',
  notes: INIT_NOTES,
  options: [
    option('--host <host>', "write this host's own configuration file instead").choices(HOST_IDS),
    option(
      '--wrap <server>',
      'with --host: put a server that is configured there behind the runtime, or `all`; repeatable',
    ).argParser(collect),
    option('--undo', 'with --host: put the file back as it was before our last change'),
    option('--yes', 'with --host: do not ask'),
  ],
  load: async () => (await import('./commands/init.ts')).init,
};
