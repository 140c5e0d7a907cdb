// Owns the ground under the store tests: temporary directories, stores in them, and child processes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { randomIds } from '../../src/base/ids.ts';
import type { Store, TenantKeys } from '../../src/store/contract.ts';
import { memoryTenantKeys } from '../../src/store/sealing.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';

/** A directory that goes when the test ends. */
export function testDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'arp-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A store on a real file that is closed when the test ends. */
export async function testStore(path: string, keys: TenantKeys = memoryTenantKeys()): Promise<Store> {
  const store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
  onTestFinished(() => store.close());
  return store;
}

export interface Child {
  process: ChildProcess;
  lines: string[];
  /** Resolves once the child has said a line that begins so. */
  said(start: string): Promise<string>;
  ended: Promise<number | null>;
}

/** Runs a script of fixtures/ under node; `shell` is put before it, e.g. a limit. */
export function startChild(script: string, args: string[], shell = ''): Child {
  const path = fileURLToPath(new URL(`./fixtures/${script}`, import.meta.url));
  const command = `${shell} exec "$0" "$@"`;
  const child = spawn('bash', ['-c', command, process.execPath, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const listener of [...listeners]) listener();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  onTestFinished(() => void child.kill('SIGKILL'));
  return {
    process: child,
    lines,
    ended,
    said: (start) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find((line) => line.startsWith(start));
          if (found === undefined) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        look();
      }),
  };
}
