// Owns the port through which a child process is started and ended. Only this room knows node:child_process.
import type { Readable, Writable } from 'node:stream';
import type { SandboxProfile } from '../../config/types.ts';
import type { Confinement } from './confine.ts';

export interface SpawnSpec {
  /** Shown in messages; never a path or an argument. */
  label: string;
  /** The program as given; no shell reads it. */
  command: string;
  args: readonly string[];
  /** Absolute. */
  cwd: string;
  /** Names copied from our environment, beyond what a program needs to start. */
  envAllow: readonly string[];
  /** Values set for the child; they win over copied ones. */
  env: Readonly<Record<string, string>>;
  /** A digest of whom it works for: only their processes find its kept home. Absent: nobody, and nothing is kept. */
  owner?: string;
  /** What confines it; absent: nothing does. */
  profile?: SandboxProfile;
  /** One line of standard error, already cut; lines beyond the rate are counted, not handed over. */
  onStderr?: (line: string) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SpawnedProcess {
  /** Also the id of its process group. */
  readonly pid: number;
  /** What this process is held to. */
  readonly confinement: Confinement;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves once the process is gone, its group with it, and its output was read; never rejects. */
  readonly exited: Promise<Exit>;
  /**
   * End of input, then SIGTERM, then SIGKILL, each after its grace and to the whole group; waits also for the copy of its
   * kept home.
   */
  kill(): Promise<Exit>;
  /** SIGKILL to the whole group, at once. */
  killNow(): void;
}

export interface Sandbox {
  /** Throws SUBPROCESS_TRANSPORT_FAILED when the program cannot be started, SUBPROCESS_SANDBOX_UNAVAILABLE when it may
   * not be without a sandbox that is not here, CONFIGURATION_ERROR for a profile that cannot be. */
  spawn(spec: SpawnSpec): Promise<SpawnedProcess>;
  /** Children that are alive. */
  live(): number;
  /** For an orderly end: `kill` for every child. No child is started afterwards. */
  killAll(): Promise<void>;
  /** For `process.on('exit')`, where nothing can be awaited. No child is started afterwards. */
  killAllNow(): void;
}
