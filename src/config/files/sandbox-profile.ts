// Owns the words of a sandbox profile, as runtime-controls.yaml gives one to every stdio server and servers.yaml to one.
import { z } from 'zod';
import { closed, refused, whole } from '../shape.ts';
import type { SandboxProfile } from '../types.ts';

const path = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !text.includes('\0'), { error: 'must not hold a null character' });

const entry = z.discriminatedUnion('source', [
  closed({
    path: path.describe('A directory of this machine; it has the same path inside.'),
    source: z.literal('local_dir'),
    read_only: z.boolean().default(true),
    content: refused('content is for source inline_file'),
  }),
  closed({
    path: path.describe('Where the file is, inside.'),
    source: z.literal('inline_file'),
    read_only: z.literal(true).default(true),
    content: z.string().max(32_768),
  }),
]);

const limits = closed({
  cpu_seconds: whole(1, 31_536_000).default(3600).describe('Processor time of each process.'),
  memory_mb: whole(64, 1_048_576).default(1024).describe('Data of each process.'),
  processes: whole(16, 65_536).default(256).describe('Processes and threads together.'),
  open_files: whole(32, 1_048_576).default(1024).describe('Of each process.'),
  file_mb: whole(1, 1_048_576).default(256).describe('The largest file that it may write.'),
  scratch_mb: whole(1, 1_048_576).default(64).describe('/tmp and, where it is not kept, the home directory.'),
});

/** A profile in the files' own words, defaults filled in. */
export interface WrittenProfile {
  manifest_version: 1;
  missing: SandboxProfile['missing'];
  workspace: {
    entries: (
      | { source: 'local_dir'; path: string; read_only: boolean }
      | { source: 'inline_file'; path: string; read_only: true; content: string }
    )[];
  };
  capabilities: { filesystem: boolean; shell: SandboxProfile['shell'] };
  permissions: {
    network: SandboxProfile['network'];
    secrets: SandboxProfile['secrets'];
    run_as: 'sandbox_user';
  };
  state: {
    resume: SandboxProfile['resume'];
    snapshot: SandboxProfile['snapshot'];
    persist_session_state: boolean;
  };
  limits: Record<'cpu_seconds' | 'memory_mb' | 'processes' | 'open_files' | 'file_mb' | 'scratch_mb', number>;
}

export const sandboxProfile: z.ZodType<WrittenProfile> = closed({
  manifest_version: z.literal(1).default(1),
  missing: z
    .enum(['refuse', 'warn'])
    .default('refuse')
    .describe('Where this machine cannot confine: do not start the server, or start it and say so.'),
  workspace: closed({ entries: z.array(entry).max(50).default([]) }).prefault({}),
  capabilities: closed({
    filesystem: z.boolean().default(true).describe('false: no entry can be written.'),
    shell: z
      .enum(['restricted', 'full'])
      .default('restricted')
      .describe('restricted: no program but the server itself; full: the programs of the system.'),
    memory: refused('memory is not supported here: a server reaches none of our memory'),
    skills: refused('skills is not supported here: a server reaches none of our files'),
  }).prefault({}),
  permissions: closed({
    network: z.enum(['denied', 'full']).default('denied').describe('full: the network of this machine.'),
    secrets: z
      .enum(['none', 'declared'])
      .default('none')
      .describe('none: env_allow, from_env and from_file are refused for the server.'),
    run_as: z.literal('sandbox_user').default('sandbox_user'),
  }).prefault({}),
  state: closed({
    resume: z
      .enum(['allowed', 'denied', 'snapshot'])
      .default('allowed')
      .describe('denied: every start finds an empty home directory; snapshot: what the last copy holds.'),
    snapshot: z
      .enum(['none', 'required_on_completion'])
      .default('none')
      .describe('A copy of the home directory when the server has ended.'),
    persist_session_state: z.boolean().default(false).describe('The home directory outlives the process.'),
  }).prefault({}),
  limits: limits.prefault({}),
}).superRefine(({ state }, context) => {
  if (state.resume === 'snapshot' && state.snapshot === 'none') {
    const message = 'snapshot needs snapshot: required_on_completion; there is nothing else to begin from';
    context.addIssue({ code: 'custom', path: ['state', 'resume'], message });
  }
  if (state.persist_session_state || state.snapshot === 'none') return;
  const message = 'needs persist_session_state: true; there is nothing else to copy';
  context.addIssue({ code: 'custom', path: ['state', 'snapshot'], message });
});

export function buildProfile(raw: WrittenProfile): SandboxProfile {
  const { capabilities, permissions, state, limits: bounds } = raw;
  return {
    manifestVersion: raw.manifest_version,
    missing: raw.missing,
    entries: raw.workspace.entries.map((one) =>
      one.source === 'inline_file'
        ? { source: one.source, path: one.path, readOnly: true, content: one.content }
        : { source: one.source, path: one.path, readOnly: one.read_only || !capabilities.filesystem },
    ),
    shell: capabilities.shell,
    network: permissions.network,
    secrets: permissions.secrets,
    resume: state.resume,
    snapshot: state.snapshot,
    persist: state.persist_session_state,
    limits: {
      cpuSeconds: bounds.cpu_seconds,
      memoryMb: bounds.memory_mb,
      processes: bounds.processes,
      openFiles: bounds.open_files,
      fileMb: bounds.file_mb,
      scratchMb: bounds.scratch_mb,
    },
  };
}
