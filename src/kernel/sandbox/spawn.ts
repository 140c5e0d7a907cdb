// Owns the start and the end of child processes: no shell, a listed environment, three pipes and no other descriptor,
// a process group of its own, and a registry from which all of them can be ended.
//
// S1: when a child is gone its group is gone, because the group is killed as its leader is reaped.
// S2: after killAll or killAllNow no child is started.
// S3: a child with a profile is confined as the profile says, or not started, or said not to be.
// Limits: if we are killed with SIGKILL nobody signals the group; a child then ends because its standard input ends,
// which a hostile one may ignore. Descriptors that our parent left open are masked on Linux only. A grandchild that leaves the group (setsid) is out of reach. Windows has no groups:
// there only the child itself is ended.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { Exit, Sandbox, SpawnedProcess, SpawnSpec } from './contract.ts';
import type { Environment } from './environment.ts';
import { inheritedDescriptors } from './inherited.ts';
import { createLauncher } from './launch.ts';
import type { ConfineOptions, Launch, Launcher } from './launch.ts';
import { drainStderr } from './stderr.ts';

export interface SandboxOptions {
  clock: Clock;
  /** Our own environment, of which a child gets the listed names only. */
  environment: Environment;
  /** Needed by whoever gives a profile. */
  confine?: ConfineOptions;
  /** How long a child may take to end by itself once its input has ended. */
  inputGraceMs?: number;
  /** How long between SIGTERM and SIGKILL. */
  termGraceMs?: number;
}

type Graces = Required<Pick<SandboxOptions, 'inputGraceMs' | 'termGraceMs'>>;

// A descriptor held by a process that left the group must not keep us waiting for the end of the output.
const OUTPUT_GRACE_MS = 200;

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
  } catch {
    // ESRCH: already gone, which is what was wanted.
  }
}

function cannotStart(spec: SpawnSpec, cause: unknown): RuntimeError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  const error = new RuntimeError(
    'SUBPROCESS_TRANSPORT_FAILED',
    `the program of ${spec.label} could not be started (${reason})`,
    { server: spec.label, reason },
  );
  error.cause = cause;
  return error;
}

/** Resolves when the child is gone and its output was read, or the output's grace is over. */
function watchExit(child: ChildProcessWithoutNullStreams, pid: number, clock: Clock): Promise<Exit> {
  return new Promise((resolve) => {
    let cancel: (() => void) | undefined;
    child.once('exit', (code, signal) => {
      // In the same tick as the reaping: the id cannot be another group's yet (S1).
      signalGroup(pid, 'SIGKILL');
      cancel = clock.after(OUTPUT_GRACE_MS, () => {
        child.stdout.destroy();
        child.stderr.destroy();
        child.stdin.destroy();
        resolve({ code, signal });
      });
    });
    child.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      cancel?.();
      resolve({ code, signal });
    });
  });
}

interface Supervised {
  spawned: SpawnedProcess;
  /** Resolves when nothing is left to do for it. */
  over: Promise<void>;
}

function supervise({ child, pid, launch }: Started, clock: Clock, graces: Graces): Supervised {
  const exited = watchExit(child, pid, clock);
  const over = exited.then(() => launch.home?.ended());
  let ending: Promise<Exit> | undefined;
  const end = async (): Promise<Exit> => {
    child.stdin.end();
    const cancelTerm = clock.after(graces.inputGraceMs, () => {
      signalGroup(pid, 'SIGTERM');
    });
    const cancelKill = clock.after(graces.inputGraceMs + graces.termGraceMs, () => {
      signalGroup(pid, 'SIGKILL');
    });
    const exit = await exited;
    cancelTerm();
    cancelKill();
    await over;
    return exit;
  };
  const spawned: SpawnedProcess = {
    pid,
    confinement: launch.confinement,
    stdin: child.stdin,
    stdout: child.stdout,
    exited,
    kill: () => (ending ??= end()),
    killNow() {
      if (child.exitCode === null && child.signalCode === null) signalGroup(pid, 'SIGKILL');
    },
  };
  return { spawned, over };
}

interface Started {
  child: ChildProcessWithoutNullStreams;
  pid: number;
  launch: Launch;
}

/** Three pipes, one for each file handed over; where a descriptor of our parent would be passed on, the null device is
 * instead. */
function descriptors(inherited: readonly number[], nullDevice: number, files: Launch['files']): StdioOptions {
  const stdio: ('pipe' | 'ignore' | number)[] = ['pipe', 'pipe', 'pipe'];
  const put = (descriptor: number, what: 'pipe' | number): void => {
    while (stdio.length < descriptor) stdio.push('ignore');
    stdio[descriptor] = what;
  };
  for (const descriptor of inherited) put(descriptor, nullDevice);
  for (const { descriptor } of files) put(descriptor, 'pipe');
  return stdio;
}

function handOver(child: ChildProcessWithoutNullStreams, files: Launch['files']): void {
  for (const { descriptor, content } of files) {
    const pipe = child.stdio[descriptor] as Writable | null | undefined;
    // A child that ended before it read its file says so by its exit.
    pipe?.on('error', () => undefined);
    pipe?.end(content);
  }
}

function ending({ label }: SpawnSpec): RuntimeError {
  return new RuntimeError('SUBPROCESS_TRANSPORT_FAILED', `${label} is not started: we are ending`);
}

async function start(spec: SpawnSpec, launcher: Launcher, isClosed: () => boolean): Promise<Started> {
  // What may not be started, or cannot be confined, is said as it is.
  const inherited = inheritedDescriptors();
  const launch = await launcher(spec, inherited);
  if (isClosed()) {
    launch.home?.unused();
    throw ending(spec);
  }
  let nullDevice = -1;
  try {
    if (inherited.length > 0) nullDevice = openSync('/dev/null', 'r');
    const child = spawn(launch.command, [...launch.args], {
      shell: false,
      detached: true,
      windowsHide: true,
      stdio: descriptors(inherited, nullDevice, launch.files),
      env: launch.env,
      ...(launch.cwd === undefined ? {} : { cwd: launch.cwd }),
    }) as ChildProcessWithoutNullStreams;
    const { pid } = child;
    // No id means that the start failed; the reason follows as an event.
    if (pid === undefined) throw (await once(child, 'error'))[0];
    child.on('error', () => undefined);
    // A child that dies breaks this pipe; who writes to it hears of that through the exit.
    child.stdin.on('error', () => undefined);
    handOver(child, launch.files);
    return { child, pid, launch };
  } catch (cause) {
    launch.home?.unused();
    throw cannotStart(spec, cause);
  } finally {
    if (nullDevice !== -1) closeSync(nullDevice);
  }
}

function ignore(): void {
  // Whoever asked for it is told.
}

/** The real sandbox port: what a child may read, reach and use up is what its profile says. */
export function createSandbox(options: SandboxOptions): Sandbox {
  const { clock, environment } = options;
  const graces: Graces = {
    inputGraceMs: options.inputGraceMs ?? 300,
    termGraceMs: options.termGraceMs ?? 2000,
  };
  const launcher = createLauncher(environment, options.confine);
  const children = new Set<SpawnedProcess>();
  const leaving = new Set<Promise<void>>();
  const beginning = new Set<Promise<void>>();
  let closed = false;

  async function begin(spec: SpawnSpec): Promise<SpawnedProcess> {
    const started = await start(spec, launcher, () => closed);
    const { spawned, over } = supervise(started, clock, graces);
    drainStderr(started.child.stderr, clock, spec.onStderr ?? (() => undefined));
    children.add(spawned);
    void spawned.exited.then(() => {
      children.delete(spawned);
    });
    leaving.add(over);
    void over.then(() => {
      leaving.delete(over);
    });
    if (!closed) return spawned;
    spawned.killNow();
    throw ending(spec);
  }

  return {
    async spawn(spec) {
      if (closed) throw ending(spec);
      const begun = begin(spec);
      const settled = begun.then(ignore, ignore).then(() => void beginning.delete(settled));
      beginning.add(settled);
      return begun;
    },
    live: () => children.size,
    async killAll() {
      closed = true;
      await Promise.all([...[...children].map((child) => child.kill()), ...beginning]);
      await Promise.all(leaving);
    },
    killAllNow() {
      closed = true;
      for (const child of children) child.killNow();
    },
  };
}
