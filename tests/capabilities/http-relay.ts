// Owns the relay's server over HTTP for tests: one process on a free port of loopback, ended with the test.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DownstreamServer } from '../../src/config/types.ts';
import { server, until } from './fixtures.ts';

const SCRIPT = fileURLToPath(new URL('../matrix/relay-server.mjs', import.meta.url));

export interface HttpRelay {
  url: string;
  server(over?: Partial<DownstreamServer>): DownstreamServer;
  /** Makes it forget every session. */
  forget(): Promise<void>;
  headers(): Promise<Record<string, string>>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

export async function httpRelay(...args: string[]): Promise<HttpRelay> {
  const directory = mkdtempSync(join(tmpdir(), 'relay-'));
  const file = join(directory, 'port');
  const child = spawn(process.execPath, [SCRIPT, '--http', file, ...args], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until(() => existsSync(file));
  const base = `http://127.0.0.1:${readFileSync(file, 'utf8')}`;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  return {
    url: `${base}/mcp`,
    server: (over = {}) => {
      const { command: _, ...rest } = server('relay', [], over);
      return { ...rest, transport: 'http', url: `${base}/mcp` };
    },
    forget: async () => {
      await fetch(`${base}/control/forget`);
    },
    headers: async () => (await (await fetch(`${base}/control/headers`)).json()) as Record<string, string>,
    kill,
    close: async () => {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
