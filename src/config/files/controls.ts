// Owns runtime-controls.yaml: what operators may do with a run, and what happens to one that waits too long.
import { z } from 'zod';
import { closed, label, plainId, refused, whole } from '../shape.ts';
import type { RuntimeControls, SandboxProfile } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { buildProfile, sandboxProfile } from './sandbox-profile.ts';

const schema = closed({
  runtime_controls: closed({
    contract_version: label.default('capability-contract-v5').describe('Shown in every inspection.'),
    pause_allowed: z.boolean().default(true),
    resume_allowed: z.boolean().default(true),
    background_mode_allowed: z.boolean().default(true),
    max_wait_seconds: whole(1, 31_536_000).default(1800),
    on_expiry: z.enum(['cancel_run', 'keep']).default('cancel_run'),
    capability_session_owner: plainId
      .default('agent_platform')
      .describe('Who answers for stateful connections to servers.'),
    capability_sessions: refused(
      'capability_sessions is not supported yet: how sessions expire and resume is fixed in this version',
    ),
    delegated_authorization: refused(
      'delegated_authorization is not supported yet: who may act for whom is listed in identity.yaml, delegations',
    ),
    sandbox_profile: sandboxProfile
      .optional()
      .describe('Confines every stdio server that has no profile of its own in servers.yaml.'),
  }).prefault({}),
});

/** The controls, and the profile that servers without one of their own get. */
export interface ControlsPart extends RuntimeControls {
  sandbox?: SandboxProfile;
}

export const controlsFile: ConfigFile<ControlsPart> = defineFile(
  'runtime-controls.yaml',
  false,
  schema,
  ({ runtime_controls: raw }) => ({
    contractVersion: raw.contract_version,
    pauseAllowed: raw.pause_allowed,
    resumeAllowed: raw.resume_allowed,
    backgroundModeAllowed: raw.background_mode_allowed,
    maxWaitSeconds: raw.max_wait_seconds,
    onExpiry: raw.on_expiry,
    capabilitySessionOwner: raw.capability_session_owner,
    ...(raw.sandbox_profile === undefined ? {} : { sandbox: buildProfile(raw.sandbox_profile) }),
  }),
);
