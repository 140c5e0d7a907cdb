// Owns what a confined program finds on its file system: the system's libraries, its own files, the entries of its
// profile, and nothing else. It looks at the disk and changes nothing.
//
// M1: a masked directory (state, configuration, keys) is empty inside, whatever contains it, and is never an entry.
// M2: what is bound for the program itself is read-only.
import {
  existsSync,
  lstatSync,
  openSync,
  closeSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { SandboxProfile } from '../../config/types.ts';
import { findProgram } from './means.ts';

export const SANDBOX_HOME = '/home/sandbox';

export type Mount =
  | { kind: 'bind' | 'ro-bind'; source: string; at: string }
  | { kind: 'empty'; at: string }
  | { kind: 'symlink'; target: string; at: string };

export interface Layout {
  /** The program by its real path. */
  program: string;
  mounts: Mount[];
}

export interface LayoutRequest {
  label: string;
  command: string;
  args: readonly string[];
  profile: SandboxProfile;
  searchPath: string | undefined;
  /** Absolute; empty inside. */
  masked: readonly string[];
  /** Of this package: what its servers load. */
  packageRoot: string;
}

// Libraries, time zones and characters; nothing here belongs to a user.
const LIBRARIES = ['/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/local/lib', '/usr/share'];
const LIBRARY_LINKS = ['/lib', '/lib32', '/lib64'];
const ETC = ['ld.so.cache', 'localtime', 'alternatives'];
const ETC_NETWORK = ['resolv.conf', 'hosts', 'nsswitch.conf', 'ssl', 'ca-certificates', 'pki'];
const PROGRAMS = ['/usr/bin', '/usr/sbin', '/usr/local/bin'];
const PROGRAM_LINKS = ['/bin', '/sbin'];
const SECRETS_OF_A_DIRECTORY = ['.env', '.ssh', '.aws', '.gnupg'];

function isBeneath(path: string, parent: string): boolean {
  const way = relative(parent, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function readOnly(path: string): Mount[] {
  if (!existsSync(path)) return [];
  return [{ kind: 'ro-bind', source: realpathSync(path), at: path }];
}

/** `/lib` is a link on most systems and a directory on others. */
function linkOrDirectory(path: string): Mount[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink()
    ? [{ kind: 'symlink', target: readlinkSync(path), at: path }]
    : readOnly(path);
}

function systemMounts({ shell, network }: SandboxProfile): Mount[] {
  const etc = network === 'full' ? [...ETC, ...ETC_NETWORK] : ETC;
  return [
    ...LIBRARIES.flatMap(readOnly),
    ...LIBRARY_LINKS.flatMap(linkOrDirectory),
    ...etc.flatMap((name) => readOnly(join('/etc', name))),
    ...(shell === 'full' ? [...PROGRAMS.flatMap(readOnly), ...PROGRAM_LINKS.flatMap(linkOrDirectory)] : []),
  ];
}

/** A file under both of its names, so that it is found by either. */
function ownFile(path: string): Mount[] {
  const real = realpathSync(path);
  const mounts: Mount[] = [{ kind: 'ro-bind', source: real, at: real }];
  return real === path ? mounts : [...mounts, { kind: 'ro-bind', source: real, at: path }];
}

/** A program file with what it loads: the packages beside it, or this package's own; else only itself. */
function scriptMounts(path: string, packageRoot: string): Mount[] {
  const real = realpathSync(path);
  const marker = `${sep}node_modules${sep}`;
  const at = real.indexOf(marker);
  if (isBeneath(real, packageRoot)) {
    const outer = packageRoot.indexOf(marker);
    if (outer !== -1) return readOnly(packageRoot.slice(0, outer + marker.length - 1));
    return [
      ...['package.json', 'dist', 'node_modules'].flatMap((name) => readOnly(join(packageRoot, name))),
      ...(isBeneath(real, join(packageRoot, 'dist')) || at !== -1 ? [] : ownFile(path)),
    ];
  }
  if (at === -1) return ownFile(path);
  return [...readOnly(real.slice(0, at + marker.length - 1)), ...(real === path ? [] : ownFile(path))];
}

/** The interpreter that the first line names, through `env` too. */
function interpreter(path: string, searchPath: string | undefined): string[] {
  const bytes = Buffer.alloc(256);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(file);
  }
  const first = /^#!\s*(\S+)(?:[ \t]+(\S+))?/.exec(bytes.toString('latin1'));
  if (first === null) return [];
  const [, program = '', argument] = first;
  const named =
    program.endsWith('/env') && argument !== undefined ? findProgram(argument, searchPath) : undefined;
  return named === undefined ? [program] : [program, named];
}

function programMounts(request: LayoutRequest): { program: string; mounts: Mount[] } {
  const { label, command, args, searchPath, packageRoot, profile } = request;
  const program = findProgram(command, searchPath);
  if (program === undefined) {
    const text = `the program of ${label} could not be started (ENOENT)`;
    throw new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', text, { server: label, reason: 'ENOENT' });
  }
  const interpreters = interpreter(program, searchPath).filter((path) => existsSync(path));
  const scripts = [...(interpreters.length > 0 ? [program] : []), ...args].filter(
    (arg) =>
      isAbsolute(arg) &&
      existsSync(arg) &&
      statSync(arg).isFile() &&
      // What an entry holds is there as the entry says, writable or not.
      !profile.entries.some((entry) => entry.source === 'local_dir' && isBeneath(arg, entry.path)),
  );
  return {
    program,
    mounts: [
      ...[program, ...interpreters].flatMap(ownFile),
      ...scripts.flatMap((script) => scriptMounts(script, packageRoot)),
    ],
  };
}

function refuse(label: string, path: string, why: string): never {
  const text = `the sandbox of ${label} cannot hold ${path}: ${why}`;
  throw new RuntimeError('CONFIGURATION_ERROR', text, {
    field: 'sandbox_profile.workspace.entries',
    server: label,
  });
}

function entryMounts({ label, profile, masked }: LayoutRequest): Mount[] {
  const mounts: Mount[] = [];
  for (const entry of profile.entries) {
    if (entry.source === 'inline_file') continue;
    if (!existsSync(entry.path)) refuse(label, entry.path, 'there is no such directory');
    const source = realpathSync(entry.path);
    if (masked.some((directory) => isBeneath(source, directory))) {
      refuse(label, entry.path, 'it belongs to our state or configuration');
    }
    const kind = entry.readOnly ? 'ro-bind' : 'bind';
    mounts.push({ kind, source, at: entry.path });
    if (source !== entry.path) mounts.push({ kind, source, at: source });
  }
  return mounts;
}

/** M1, and the files in which people keep secrets beside their work. */
function maskMounts(bound: readonly Mount[], masked: readonly string[]): Mount[] {
  const masks: Mount[] = [];
  for (const mount of bound) {
    if (mount.kind !== 'bind' && mount.kind !== 'ro-bind') continue;
    for (const directory of masked) {
      if (directory === mount.source || !isBeneath(directory, mount.source)) continue;
      // A mount point cannot be made where nothing may be written, and what is not there needs no mask there.
      if (mount.kind === 'ro-bind' && !existsSync(directory)) continue;
      masks.push({ kind: 'empty', at: join(mount.at, relative(mount.source, directory)) });
    }
    for (const name of SECRETS_OF_A_DIRECTORY) {
      const path = join(mount.source, name);
      if (!existsSync(path)) continue;
      const at = join(mount.at, name);
      masks.push(
        statSync(path).isDirectory() ? { kind: 'empty', at } : { kind: 'ro-bind', source: '/dev/null', at },
      );
    }
  }
  return masks;
}

function realOrSame(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realOrSame(parent), relative(parent, path));
}

/** Throws CONFIGURATION_ERROR for an entry that cannot be, SUBPROCESS_TRANSPORT_FAILED without the program. */
export function layOut(request: LayoutRequest): Layout {
  const real = { ...request, masked: request.masked.map(realOrSame) };
  const { program, mounts } = programMounts(real);
  const entries = entryMounts(real);
  // Outer directories first, or they would hide the inner ones.
  const bound = [...systemMounts(real.profile), ...mounts, ...entries].sort(
    (a, b) => a.at.length - b.at.length,
  );
  const unique = bound.filter((one, index) => bound.findIndex(({ at }) => at === one.at) === index);
  return { program, mounts: [...unique, ...maskMounts([...mounts, ...entries], real.masked)] };
}
