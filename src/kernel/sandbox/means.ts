// Owns what this machine can confine with: bubblewrap, and whether it may make its namespaces here; prlimit; and what the
// kernel will not hold us to. Looked at once.
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Environment } from './environment.ts';

export interface Means {
  /** Its path, or why it cannot be used. */
  bubblewrap: { path: string } | { why: string };
  prlimit: { path: string } | { why: string };
  /** Why a limit on processes would not be kept; undefined: it is. */
  processesExempt?: string;
}

const PROBE_MS = 5000;

/** The program as the system would find it, or undefined. */
export function findProgram(command: string, searchPath: string | undefined): string | undefined {
  const isPath = isAbsolute(command) || command.includes('/');
  const places = isPath
    ? [command]
    : (searchPath ?? '').split(delimiter).map((place) => join(place, command));
  const endings = process.platform === 'win32' && !isPath ? ['.exe', '.cmd', ''] : [''];
  return places
    .flatMap((place) => endings.map((ending) => place + ending))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/** Having the program is not enough: containers and distributions forbid the namespaces. */
function tryBubblewrap(path: string): Promise<Means['bubblewrap']> {
  const args = ['--unshare-all', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--', path];
  return new Promise((resolve) => {
    execFile(path, [...args, '--version'], { timeout: PROBE_MS, env: {} }, (error, _stdout, stderr) => {
      if (error === null) resolve({ path });
      else {
        const said = stderr.trim().split('\n')[0]?.slice(0, 200) ?? '';
        resolve({ why: `bubblewrap cannot confine here${said === '' ? '' : `: ${said}`}` });
      }
    });
  });
}

/** The first user of the machine's own namespace is exempt from the kernel's count of processes. */
function exemption(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const [inside, outside] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
    return inside === '0' && outside === '0' ? 'the kernel does not count the processes of root' : undefined;
  } catch {
    return undefined;
  }
}

export async function lookForMeans(environment: Environment): Promise<Means> {
  if (process.platform !== 'linux') {
    const why = `there is no bubblewrap on ${process.platform}`;
    return { bubblewrap: { why }, prlimit: { why } };
  }
  const found = findProgram('bwrap', environment['PATH']);
  const prlimit = findProgram('prlimit', environment['PATH']);
  const processesExempt = exemption();
  return {
    bubblewrap:
      found === undefined ? { why: 'bubblewrap (bwrap) is not installed' } : await tryBubblewrap(found),
    prlimit: prlimit === undefined ? { why: 'prlimit (util-linux) is not installed' } : { path: prlimit },
    ...(processesExempt === undefined ? {} : { processesExempt }),
  };
}
