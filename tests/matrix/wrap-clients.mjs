// Owns the clients of the wrap matrix: both SDKs, and the command line of the public Inspector, which starts the server anew
// for every request. What differs between them ends here: each lists, calls and reads, or throws.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as V1StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { sideInstall } from '../../scripts/lib/side-install.mjs';

export const CLIENTS = ['v1', 'v2-modern', 'v2-legacy', 'inspector'];

const INFO = { name: 'matrix', version: '1.0.0' };
const FROM = fileURLToPath(new URL('./inspector/', import.meta.url));

async function sdkClient(kind, place) {
  const [args, stderr] = [place.command, 'ignore'];
  const parameters = { command: process.execPath, args, env: place.env, cwd: place.cwd, stderr };
  const mode = kind === 'v2-modern' ? { pin: '2026-07-28' } : 'legacy';
  const client = kind === 'v1' ? new V1Client(INFO) : new Client(INFO, { versionNegotiation: { mode } });
  const Transport = kind === 'v1' ? V1StdioClientTransport : StdioClientTransport;
  await client.connect(new Transport(parameters));
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: ({ name, args: given }) => client.callTool({ name, arguments: given }),
    resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    read: async (uri) => (await client.readResource({ uri })).contents[0].text,
    close: () => client.close(),
  };
}

/** The Inspector as its lock file names it, installed beside the product. */
async function inspector(say) {
  const { folder, node } = await sideInstall({ name: 'inspector', from: FROM, oldestNode: 22, say });
  const launcher = 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';
  return { node, launcher: join(folder, launcher) };
}

async function inspectorClient(place, say) {
  const { node, launcher } = await inspector(say);
  const ask = (...words) =>
    new Promise((resolve, reject) => {
      const all = [
        launcher,
        '--cli',
        process.execPath,
        ...place.command,
        ...words,
        '--connect-timeout',
        '50000',
      ];
      execFile(node, all, { env: place.env, cwd: place.cwd }, (error, out, err) => {
        try {
          resolve(JSON.parse(out.slice(out.indexOf('{'))));
        } catch {
          reject(new Error(`${out}${err}`.trim() || String(error)));
        }
      });
    });
  return {
    tools: async () => (await ask('--method', 'tools/list')).tools.map(({ name }) => name),
    call: ({ name, args }) => {
      const given = Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
      return ask('--method', 'tools/call', '--tool-name', name, ...given);
    },
    resources: async () => (await ask('--method', 'resources/list')).resources.map(({ uri }) => uri),
    read: async (uri) => (await ask('--method', 'resources/read', '--uri', uri)).contents[0].text,
    close: async () => undefined,
  };
}

export function openClient(kind, place, say) {
  return kind === 'inspector' ? inspectorClient(place, say) : sdkClient(kind, place);
}
