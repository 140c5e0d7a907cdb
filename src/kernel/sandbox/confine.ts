// Owns the command line that confines a program, and the honest account of what it confines.
import { digestJson } from '../../base/digest.ts';
import type { JsonObject } from '../../base/json.ts';
import type { SandboxProfile } from '../../config/types.ts';
import type { Means } from './means.ts';
import { SANDBOX_HOME } from './mounts.ts';
import type { Layout, Mount } from './mounts.ts';

/** What a receipt says of the process that ran the tool, in the words of the record. */
export type Confinement = JsonObject & { sandbox: 'bubblewrap' | 'none' };

export interface ConfinedCommand {
  command: string;
  args: string[];
}

export interface ConfineRequest {
  bubblewrap: string;
  prlimit: string | undefined;
  layout: Layout;
  args: readonly string[];
  cwd: string;
  profile: SandboxProfile;
  /** The kept home directory of this machine; absent: an empty one in memory. */
  home: string | undefined;
  /** Descriptor from which each inline file is read, in the order of the entries. */
  descriptors: readonly number[];
}

const MIB = 1024 * 1024;
// Nobody's number: inside, the program is no one in particular and owns nothing of the system.
const SANDBOX_USER = '65534';

function mountArgs(mount: Mount): string[] {
  if (mount.kind === 'symlink') return ['--symlink', mount.target, mount.at];
  if (mount.kind === 'empty') return ['--tmpfs', mount.at, '--remount-ro', mount.at];
  return [`--${mount.kind}`, mount.source, mount.at];
}

function limitArgs({ limits }: SandboxProfile): string[] {
  return [
    `--cpu=${limits.cpuSeconds}`,
    `--data=${limits.memoryMb * MIB}`,
    `--nproc=${limits.processes}`,
    `--nofile=${limits.openFiles}`,
    `--fsize=${limits.fileMb * MIB}`,
    '--core=0',
  ];
}

function inlineArgs({ profile, descriptors }: ConfineRequest): string[] {
  return profile.entries
    .filter((entry) => entry.source === 'inline_file')
    .flatMap((entry, index) => ['--ro-bind-data', String(descriptors[index] ?? -1), entry.path]);
}

export function confinedCommand(request: ConfineRequest): ConfinedCommand {
  const { profile, layout, home, prlimit } = request;
  const scratch = ['--size', String(profile.limits.scratchMb * MIB), '--tmpfs'];
  const limits = prlimit === undefined ? [] : [prlimit, ...limitArgs(profile), '--'];
  return {
    command: request.bubblewrap,
    args: [
      '--unshare-all',
      ...(profile.network === 'full' ? ['--share-net'] : []),
      '--die-with-parent',
      ...['--uid', SANDBOX_USER, '--gid', SANDBOX_USER, '--hostname', 'sandbox'],
      ...['--cap-drop', 'ALL'],
      ...['--proc', '/proc', '--dev', '/dev'],
      ...[...scratch, '/tmp'],
      ...(home === undefined ? [...scratch, SANDBOX_HOME] : ['--bind', home, SANDBOX_HOME]),
      ...(prlimit === undefined ? [] : ['--ro-bind', prlimit, prlimit]),
      ...layout.mounts.flatMap(mountArgs),
      ...inlineArgs(request),
      // Where no entry holds the directory that it works in, that is an empty one.
      ...['--dir', request.cwd],
      // The bare root and /dev are memory too; what is mounted on them stays as it is.
      ...['--remount-ro', '/dev', '--remount-ro', '/'],
      ...['--chdir', request.cwd, '--'],
      ...limits,
      layout.program,
      ...request.args,
    ],
  };
}

const READS_HELD = 'confined to its entries, its own files and those of the system';
const READS_FREE = 'not confined: paths in arguments are judged, what is opened beyond them is not';

export function unconfined(reason: string): Confinement {
  return { sandbox: 'none', reason, reads: READS_FREE };
}

/** How a process found its home: empty, as the last one left it, or as the last copy has it. */
export type Start = 'fresh' | 'resumed' | 'snapshot';

/** What becomes of the home directory after this process: kept for the next start, copied, or made anew. */
function stateFlags({ persist, resume, snapshot }: SandboxProfile): JsonObject {
  const resumable = persist && resume === 'allowed';
  return { resumable, snapshottable: persist && snapshot !== 'none', recreate: !resumable };
}

/** Names as reviewers of the source systems know them, then the figures. */
export function confinement(
  profile: SandboxProfile,
  means: Means,
  session: { id: string; start: Start },
): Confinement {
  const hasLimits = 'path' in means.prlimit;
  const { limits } = profile;
  const enforced = {
    cpu_seconds: limits.cpuSeconds,
    memory_mb: limits.memoryMb,
    open_files: limits.openFiles,
    file_mb: limits.fileMb,
    ...(means.processesExempt === undefined ? { processes: limits.processes } : {}),
  };
  const missing = [
    ...('why' in means.prlimit ? [`limits: ${means.prlimit.why}`] : []),
    ...(hasLimits && means.processesExempt !== undefined ? [`processes: ${means.processesExempt}`] : []),
  ];
  return {
    sandbox: 'bubblewrap',
    sandbox_session_id: session.id,
    sandbox_manifest_version: profile.manifestVersion,
    sandbox_permissions_profile: `${profile.shell}-shell-network-${profile.network}`,
    network_secrets_posture: `network:${profile.network},secrets:${profile.secrets}`,
    reads: READS_HELD,
    workspace_manifest_ref: manifestRef(profile),
    start: session.start,
    ...stateFlags(profile),
    limits: { ...(hasLimits ? enforced : {}), scratch_mb: limits.scratchMb },
    ...(missing.length === 0 ? {} : { not_enforced: missing }),
  };
}

/** Names the entries without showing what an inline file says. */
export function manifestRef({ entries, manifestVersion }: SandboxProfile): string {
  return digestJson({ manifest_version: manifestVersion, entries: entries.map((entry) => ({ ...entry })) });
}
