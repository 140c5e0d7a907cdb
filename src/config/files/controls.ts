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
    delegated_authorization: closed({
      authorization_mode: z
        .enum(['user_delegated_or_platform_owned', 'platform_owned', 'any'])
        .default('user_delegated_or_platform_owned')
        .describe('Which modes a session may have. any: human_approved too.'),
      on_authorization_revoke: z
        .enum(['cancel_or_reapprove', 'cancel'])
        .default('cancel_or_reapprove')
        .describe('A call whose grant is gone is asked of a person anew, or denied.'),
      // One value each: how it is, said in the words of the source systems.
      delegated_principal_policy: z
        .literal('explicit_principal_binding_required')
        .default('explicit_principal_binding_required'),
      token_reuse_policy: z
        .literal('reuse_within_valid_paused_run_only')
        .default('reuse_within_valid_paused_run_only'),
      subagent_inheritance: z.literal('denied_by_default').default('denied_by_default'),
      resume: z.literal('resume_existing_session_if_valid').default('resume_existing_session_if_valid'),
    }).prefault({}),
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
    delegation: {
      authorizationMode: raw.delegated_authorization.authorization_mode,
      onRevoke: raw.delegated_authorization.on_authorization_revoke,
    },
    ...(raw.sandbox_profile === undefined ? {} : { sandbox: buildProfile(raw.sandbox_profile) }),
  }),
);
