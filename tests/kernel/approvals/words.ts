// An approval subject and an answerer for tests; only what a test is about is named there.
import { NO_DELEGATION } from '../../../src/kernel/identity.ts';
import type { Answerer, ApprovalSubject } from '../../../src/kernel/approvals/approval.ts';

export function subject(over: Partial<ApprovalSubject> = {}): ApprovalSubject {
  return {
    approvalId: 'apr_1',
    tenant: 'local',
    principal: 'os:1000',
    actor: 'stdio:1',
    agentId: 'agent',
    delegation: NO_DELEGATION,
    sessionId: 'ses_1',
    runId: 'run_1',
    traceId: 'trace',
    callId: 'call_1',
    tool: 'pay',
    capability: 'pay',
    risk: 'medium',
    actionDigest: 'sha256:a',
    policyDigest: 'sha256:p',
    reasons: ['it costs money'],
    ruleId: 'capability_rule',
    approver: 'principal',
    requiredAttestation: 'client',
    rememberable: false,
    requestedAt: 0,
    answerBy: 100,
    useWithinMs: 400,
    arguments: {},
    shownDigest: 'sha256:s',
    ...over,
  };
}

export function answerer(over: Partial<Answerer> = {}): Answerer {
  return {
    tenant: 'local',
    principal: 'os:1000',
    roles: [],
    attestation: 'client',
    channel: 'elicitation',
    ...over,
  };
}
