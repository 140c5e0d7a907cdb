// Owns the step from what is to be started to what really is: as it stands, or behind the command that confines it.
//
// L1: with a profile that says refuse, nothing is started that this machine cannot confine.
// L2: the account in `confinement` is of this very process; what could not be enforced is named in it.
import type { Ids } from '../../base/ids.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { SandboxProfile } from '../../config/types.ts';
import { confinedCommand, confinement, unconfined } from './confine.ts';
import type { Confinement } from './confine.ts';
import type { SpawnSpec } from './contract.ts';
import { childEnvironment } from './environment.ts';
import type { Environment } from './environment.ts';
import { Homes } from './homes.ts';
import type { Home, LockHome } from './homes.ts';
import { lookForMeans } from './means.ts';
import type { Means } from './means.ts';
import { layOut, SANDBOX_HOME } from './mounts.ts';

export interface ConfineOptions {
  /** Absolute directories that are empty in every sandbox: state, configuration, keys. */
  masked: readonly string[];
  /** Of this package. */
  packageRoot: string;
  /** Where kept home directories and their snapshots lie. */
  homes: string;
  /** Takes a file for this process alone; how one process at a time has a kept home. */
  lock: LockHome;
  ids: Pick<Ids, 'next'>;
  /** Told of a server that runs without the sandbox that it should have. */
  onUnconfined?: (label: string, reason: string) => void;
}

export interface Launch {
  command: string;
  args: readonly string[];
  cwd: string | undefined;
  env: Record<string, string>;
  /** Handed over through a descriptor each. */
  files: { descriptor: number; content: string }[];
  confinement: Confinement;
  /** The home that is kept of it; what is made of it when the process is gone is in the account of the next start. */
  home?: Home;
}

export type Launcher = (spec: SpawnSpec, inherited: readonly number[]) => Promise<Launch>;

// What tells a program who runs it and from where; inside it is nobody.
const OUTER_NAMES = ['USER', 'LOGNAME', 'SHELL', 'HOME', 'TMPDIR', 'TEMP', 'TMP'];

function plain(spec: SpawnSpec, environment: Environment, why: string): Launch {
  return {
    command: spec.command,
    args: spec.args,
    cwd: spec.cwd,
    env: childEnvironment(environment, spec.envAllow, spec.env),
    files: [],
    confinement: unconfined(why),
  };
}

function innerEnvironment(spec: SpawnSpec, environment: Environment): Record<string, string> {
  const own = Object.entries(childEnvironment(environment, spec.envAllow, {})).filter(
    ([name]) => !OUTER_NAMES.includes(name) || spec.envAllow.includes(name),
  );
  return { HOME: SANDBOX_HOME, TMPDIR: '/tmp', ...Object.fromEntries(own), ...spec.env };
}

function freeDescriptors(count: number, inherited: readonly number[]): number[] {
  const free: number[] = [];
  for (let descriptor = 3; free.length < count; descriptor++) {
    if (!inherited.includes(descriptor)) free.push(descriptor);
  }
  return free;
}

/** What is missing for this profile, or undefined. */
function missingMeans({ bubblewrap, prlimit }: Means): string | undefined {
  if ('why' in bubblewrap) return bubblewrap.why;
  return 'why' in prlimit ? prlimit.why : undefined;
}

interface Confined {
  profile: SandboxProfile;
  means: Means;
  bubblewrap: string;
  options: ConfineOptions;
  homes: Homes;
}

/** A process of nobody's has a home in memory: what it leaves there would be found by whoever comes next. */
function homeOf(spec: SpawnSpec, { profile, homes }: Confined): Promise<Home> | undefined {
  const { label, owner } = spec;
  return profile.persist && owner !== undefined ? homes.open({ label, owner, profile }) : undefined;
}

async function confined(
  spec: SpawnSpec,
  inherited: readonly number[],
  environment: Environment,
  how: Confined,
): Promise<Launch> {
  const { profile, means, bubblewrap, options } = how;
  const env = innerEnvironment(spec, environment);
  const layout = layOut({
    label: spec.label,
    command: spec.command,
    args: spec.args,
    profile,
    searchPath: env['PATH'],
    masked: options.masked,
    packageRoot: options.packageRoot,
  });
  const inline = profile.entries.filter((entry) => entry.source === 'inline_file');
  const descriptors = freeDescriptors(inline.length, inherited);
  const home = await homeOf(spec, how);
  const { command, args } = confinedCommand({
    bubblewrap,
    prlimit: 'path' in means.prlimit ? means.prlimit.path : undefined,
    layout,
    args: spec.args,
    cwd: spec.cwd,
    profile,
    home: home?.path,
    descriptors,
  });
  const session = { id: options.ids.next('sbx'), start: home?.start ?? 'fresh' };
  const account = confinement({ ...profile, persist: home !== undefined }, means, session);
  return {
    command,
    args,
    cwd: undefined,
    env,
    files: inline.map(({ content }, index) => ({ descriptor: descriptors[index] ?? -1, content })),
    confinement: home?.snapshotId === undefined ? account : { ...account, snapshot_id: home.snapshotId },
    ...(home === undefined ? {} : { home }),
  };
}

/** Looks at this machine once, at the first profile. */
export function createLauncher(environment: Environment, options: ConfineOptions | undefined): Launcher {
  let looked: Promise<Means> | undefined;
  const homes = options === undefined ? undefined : new Homes(options.homes, options.lock);
  return async (spec, inherited) => {
    const { profile, label } = spec;
    if (profile === undefined) return plain(spec, environment, 'no sandbox_profile');
    if (options === undefined || homes === undefined)
      throw new RuntimeError('INTERNAL', 'a profile without a place to keep it');
    const means = await (looked ??= lookForMeans(environment));
    const why = missingMeans(means);
    if (why !== undefined && profile.missing === 'refuse') {
      const text = `${label} is not started without its sandbox: ${why}`;
      throw new RuntimeError('SUBPROCESS_SANDBOX_UNAVAILABLE', text, { server: label, reason: why });
    }
    if ('path' in means.bubblewrap) {
      if (why !== undefined) options.onUnconfined?.(label, why);
      const bubblewrap = means.bubblewrap.path;
      return confined(spec, inherited, environment, { profile, means, bubblewrap, options, homes });
    }
    options.onUnconfined?.(label, means.bubblewrap.why);
    return plain(spec, environment, means.bubblewrap.why);
  };
}
