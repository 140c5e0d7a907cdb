// Owns what is known of each MCP host: where its configuration lies, in which format, and what it calls its servers.
import { join } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { Env } from '../context.ts';

export const HOST_IDS = ['claude-code', 'claude-desktop', 'vscode', 'cursor', 'codex'] as const;
export type HostId = (typeof HOST_IDS)[number];

/** Where things lie on this machine. */
export interface Places {
  workspace: string;
  home: string;
  platform: NodeJS.Platform;
  env: Env;
}

export interface Host {
  id: HostId;
  label: string;
  /** Whether the file is the workspace's, and so shared with whoever works on it, or this user's alone. */
  scope: 'workspace' | 'user';
  format: 'json' | 'json_with_comments' | 'toml';
  /** The table of servers in the file. */
  key: string;
  /** What the host wants to be told of the transport, if anything. */
  type?: 'stdio';
  /** What makes the host read the file again. */
  then: string;
  file(places: Places): string;
}

function desktopDirectory({ home, platform, env }: Places): string {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'Claude');
  if (platform === 'win32') return join(env.APPDATA || join(home, 'AppData', 'Roaming'), 'Claude');
  return join(env.XDG_CONFIG_HOME || join(home, '.config'), 'Claude');
}

const ALL: Readonly<Record<HostId, Host>> = {
  'claude-code': {
    id: 'claude-code',
    label: 'Claude Code',
    scope: 'workspace',
    format: 'json',
    key: 'mcpServers',
    then: 'start a new session of Claude Code in the workspace and approve the server there',
    file: ({ workspace }) => join(workspace, '.mcp.json'),
  },
  'claude-desktop': {
    id: 'claude-desktop',
    label: 'Claude Desktop',
    scope: 'user',
    format: 'json',
    key: 'mcpServers',
    then: 'quit Claude Desktop and start it again',
    file: (places) => join(desktopDirectory(places), 'claude_desktop_config.json'),
  },
  vscode: {
    id: 'vscode',
    label: 'VS Code',
    scope: 'workspace',
    format: 'json_with_comments',
    key: 'servers',
    type: 'stdio',
    then: 'run "MCP: List Servers" in VS Code and start the server',
    file: ({ workspace }) => join(workspace, '.vscode', 'mcp.json'),
  },
  cursor: {
    id: 'cursor',
    label: 'Cursor',
    scope: 'workspace',
    format: 'json_with_comments',
    key: 'mcpServers',
    then: 'enable the server in the MCP settings of Cursor',
    file: ({ workspace }) => join(workspace, '.cursor', 'mcp.json'),
  },
  codex: {
    id: 'codex',
    label: 'Codex',
    scope: 'user',
    format: 'toml',
    key: 'mcp_servers',
    then: 'start a new session of Codex',
    file: ({ home, env }) => join(env.CODEX_HOME || join(home, '.codex'), 'config.toml'),
  },
};

/** Throws USAGE for a host that is not known. */
export function hostOf(id: string): Host {
  const found = HOST_IDS.find((one) => one === id);
  if (found === undefined) throw new RuntimeError('USAGE', `--host must be one of: ${HOST_IDS.join(', ')}.`);
  return ALL[found];
}
