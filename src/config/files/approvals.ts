// Owns approvals.yaml: who is asked where a rule asks and names nobody, and for how long.
import { approver, closed, refused, whole } from '../shape.ts';
import type { ApprovalsConfig } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';

const schema = closed({
  approvals: closed({
    default_reviewer: approver.default('manager').describe('principal, other, or a role.'),
    escalation_sla_minutes: whole(1, 525_600).default(30).describe('Open for longer: shown as overdue.'),
    answer_within_seconds: whole(1, 31_536_000).default(86_400).describe('Unanswered for longer: expires.'),
    use_within_seconds: whole(1, 31_536_000)
      .default(3600)
      .describe('Approved but unused for longer: expires.'),
    delegated_authorization: refused(
      'delegated_authorization stands in runtime-controls.yaml; who may act for whom is listed in identity.yaml, delegations',
    ),
  }).prefault({}),
});

export const approvalsFile: ConfigFile<ApprovalsConfig> = defineFile(
  'approvals.yaml',
  false,
  schema,
  ({ approvals }) => ({
    defaultReviewer: approvals.default_reviewer,
    escalationSlaMinutes: approvals.escalation_sla_minutes,
    answerWithinSeconds: approvals.answer_within_seconds,
    useWithinSeconds: approvals.use_within_seconds,
  }),
);
