// Owns runtime-controls.yaml: what operators may do with a run, and what happens to one that waits too long.
import { z } from 'zod';
import { closed, plainId, refused, whole } from '../shape.ts';
import type { CapabilitySessionControls, RuntimeControls, SandboxProfile } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { buildProfile, sandboxProfile } from './sandbox-profile.ts';

const capabilitySessions = closed({
  session_mode: z
    .enum(['stateful', 'per_call'])
    .default('stateful')
    .describe('per_call: a connection ends with the call that it was opened for.'),
  track_session_ids: z.boolean().default(true).describe('Answers carry the id of the capability session.'),
  resume_allowed: z.boolean().default(true).describe('Resume tokens are offered and taken.'),
  allow_progress_events: z
    .boolean()
    .default(true)
    .describe('Progress of tools is recorded and passed on to the client.'),
  allow_elicitation: z.boolean().default(true).describe('Servers may ask the person behind a call.'),
  resume_policy: z
    .enum(['resume_existing_session_if_valid', 'always_reinitialize'])
    .default('resume_existing_session_if_valid')
    .describe(
      'always_reinitialize: a call that goes on after a person or with a token gets a new connection, unless others use the one.',
    ),
  on_session_expiry: z
    .enum(['reinitialize_or_cancel', 'cancel'])
    .default('reinitialize_or_cancel')
    .describe('What becomes of a session whose connection is lost.'),
  reinit_requires_approval: z
    .boolean()
    .default(false)
    .describe('The first call through a session that was built anew asks a person.'),
  expiry_signal_owner: plainId
    .default('capability_runtime')
    .describe('Who is named as the source of an expiry.'),
  expiry_policy: closed({
    idle_seconds: whole(1, 86_400).default(900).describe('An unused connection is ended after so long.'),
    max_open: whole(1, 10_000).default(256).describe('Connections that one process holds open at a time.'),
  }).prefault({}),
  elicitation: closed({
    max_schema_bytes: whole(64, 1_048_576).default(16_384),
    max_schema_depth: whole(2, 32).default(6),
    max_reply_bytes: whole(64, 1_048_576).default(16_384),
    open_seconds: whole(1, 86_400).default(600).describe('How long one question stays open.'),
    max_per_call: whole(1, 100).default(8),
  }).prefault({}),
  roots: z
    .enum(['refuse', 'sandbox', 'client'])
    .default('refuse')
    .describe('What a server that asks for roots is told. client: what the client of the call tells us.'),
  sampling: z
    .enum(['refuse', 'client'])
    .default('refuse')
    .describe(
      'client: a server may put questions to the model of the client, which pays for it and sees them.',
    ),
});

const schema = closed({
  runtime_controls: closed({
    contract_version: refused('contract_version has no effect: there is one contract, that of this version'),
    pause_allowed: refused(
      'pause_allowed has no effect: a run that waits for a person has to pause; approvals say which do',
    ),
    resume_allowed: z.boolean().default(true),
    background_mode_allowed: z.boolean().default(true),
    max_wait_seconds: whole(1, 31_536_000).default(1800),
    on_expiry: z.enum(['cancel_run', 'keep']).default('cancel_run'),
    capability_session_owner: plainId
      .default('agent_platform')
      .describe('Who answers for stateful connections to servers.'),
    capability_sessions: capabilitySessions.prefault({}),
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

function buildSessions(raw: z.output<typeof capabilitySessions>): CapabilitySessionControls {
  const { elicitation, expiry_policy: expiry } = raw;
  return {
    mode: raw.session_mode,
    trackIds: raw.track_session_ids,
    resumeAllowed: raw.resume_allowed,
    progress: raw.allow_progress_events,
    elicitation: raw.allow_elicitation,
    resumePolicy: raw.resume_policy,
    onExpiry: raw.on_session_expiry,
    reinitRequiresApproval: raw.reinit_requires_approval,
    expirySignalOwner: raw.expiry_signal_owner,
    idleSeconds: expiry.idle_seconds,
    maxOpen: expiry.max_open,
    input: {
      maxSchemaBytes: elicitation.max_schema_bytes,
      maxSchemaDepth: elicitation.max_schema_depth,
      maxReplyBytes: elicitation.max_reply_bytes,
      openSeconds: elicitation.open_seconds,
      maxPerCall: elicitation.max_per_call,
    },
    roots: raw.roots,
    sampling: raw.sampling,
  };
}

/** The controls, and the profile that servers without one of their own get. */
export interface ControlsPart extends RuntimeControls {
  sandbox?: SandboxProfile;
}

export const controlsFile: ConfigFile<ControlsPart> = defineFile(
  'runtime-controls.yaml',
  false,
  schema,
  ({ runtime_controls: raw }) => ({
    resumeAllowed: raw.resume_allowed,
    backgroundModeAllowed: raw.background_mode_allowed,
    maxWaitSeconds: raw.max_wait_seconds,
    onExpiry: raw.on_expiry,
    capabilitySessionOwner: raw.capability_session_owner,
    capabilitySessions: buildSessions(raw.capability_sessions),
    delegation: {
      authorizationMode: raw.delegated_authorization.authorization_mode,
      onRevoke: raw.delegated_authorization.on_authorization_revoke,
    },
    ...(raw.sandbox_profile === undefined ? {} : { sandbox: buildProfile(raw.sandbox_profile) }),
  }),
);
