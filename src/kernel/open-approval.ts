// Owns the step in which a call waits for a person: it finds the standing answer for this exact action, or opens one
// approval for it, and says whether the client may still be asked.
import type { Series } from '../base/series.ts';
import type { Approval, ApprovalSubject } from './approvals/approval.ts';
import type { Held } from './approvals/approvals.ts';
import type { KernelDeps } from './deps.ts';
import { denial, waiting } from './evidence/receipts.ts';
import type { Receipt } from './evidence/receipts.ts';
import type { Decision } from './policy/decision.ts';
import { catalogApprover } from './policy/verdict.ts';
import type { PreparedCall } from './prepare.ts';
import { again, answer, nothingRan } from './round.ts';
import type { Round } from './round.ts';

interface Asked {
  call: PreparedCall;
  decision: Decision;
  standing: Held | undefined;
  rowVersion: number | undefined;
  /** What the question builds on. */
  after: Series | undefined;
  /** The approval that this call is on record as waiting for. */
  waitsFor: string | undefined;
}

function wasAsked(approval: Approval, actor: string): boolean {
  return approval.deliveries.some((made) => made.actor === actor);
}

function rejected(decision: Decision, approval: Approval): Decision {
  const note = 'note' in approval ? `: ${approval.note ?? ''}` : '';
  return {
    ...decision,
    verdict: 'deny',
    reasons: [`a person rejected exactly this call${note === ': ' ? '' : note}`, ...decision.reasons],
    attributes: { ...decision.attributes, 'policy.approval_id': approval.subject.approvalId },
  };
}

/**
 * What stands for this action now; or the no that this very call waited for, which neither time takes back nor a later yes
 * to an equal call.
 */
export async function answerFor(
  deps: KernelDeps,
  call: PreparedCall,
  waitsFor: string | undefined,
): Promise<Held | undefined> {
  const { tenant } = call.request.context.caller;
  const digest = call.actionDigest();
  const now = deps.clock.now();
  const standing = await deps.approvals.standing(tenant, digest, now);
  if (waitsFor === undefined || standing?.approval.subject.approvalId === waitsFor) return standing;
  const waited = await deps.approvals.get(tenant, waitsFor, now);
  const isNo = waited?.approval.state === 'rejected' && waited.approval.subject.actionDigest === digest;
  return isNo ? waited : standing;
}

/** The answer of a call whose approval is not (yet) given. */
export async function openApproval(deps: KernelDeps, asked: Asked): Promise<Round> {
  const { call, decision, standing, after } = asked;
  const { request } = call;
  const facts = nothingRan(decision, request.toolCallId);
  if (standing?.approval.state === 'pending') {
    const askable = !wasAsked(standing.approval, request.context.caller.actor);
    const { approvalId } = standing.approval.subject;
    if (asked.waitsFor !== approvalId) {
      const of: Receipt = { request, at: deps.clock.now() };
      const joined = await deps.store.commit({
        ...waiting(of, decision, approvalId, expected(asked)),
        after,
      });
      if (!joined.ok) return again();
    } else after?.assertWhole(); // Y2: no commit says so here
    return answer({ ...facts, status: 'waiting_approval', approval: standing.approval, askable });
  }
  if (standing?.approval.state === 'rejected') {
    const of: Receipt = { request, at: deps.clock.now() };
    const refused = rejected(decision, standing.approval);
    const shown = deps.redactor.object(call.args).value;
    const written = await deps.store.commit({ ...denial(of, refused, shown, expected(asked)), after });
    return written.ok ? answer({ ...nothingRan(refused, request.toolCallId), status: 'denied' }) : again();
  }
  return open(deps, asked);
}

function expected(asked: Asked): 'absent' | { version: number } {
  return asked.rowVersion === undefined ? 'absent' : { version: asked.rowVersion };
}

function subjectOf(deps: KernelDeps, asked: Asked, at: number): Omit<ApprovalSubject, 'shownDigest'> {
  const { call, decision } = asked;
  const { request, capability } = call;
  const { caller, runId, traceId, agentId, delegation } = request.context;
  const { approvals, controls, policy } = deps.config;
  const risk = capability?.risk ?? 'critical';
  const answerWithinMs = Math.min(approvals.answerWithinSeconds, controls.maxWaitSeconds) * 1000;
  return {
    approvalId: deps.ids.next('apr'),
    tenant: caller.tenant,
    principal: caller.principal,
    actor: request.session.actor,
    agentId,
    toolPrincipal: capability?.toolPrincipal ?? '',
    runtimePrincipal: deps.config.agent.runtimePrincipal,
    delegation,
    ...(request.idempotencyKey === undefined
      ? {}
      : { idempotencyKey: deps.redactor.text(request.idempotencyKey) }),
    sessionId: request.session.id,
    runId,
    traceId,
    callId: request.toolCallId,
    tool: request.tool,
    capability: capability?.name ?? request.tool,
    risk,
    actionDigest: call.actionDigest(),
    policyDigest: decision.policyDigest,
    reasons: decision.reasons,
    ruleId: decision.ruleId,
    approver: decision.approval?.approver ?? catalogApprover(approvals.defaultReviewer),
    requiredAttestation: policy.attestation[risk],
    rememberable: decision.approval?.rememberable ?? false,
    requestedAt: at,
    answerBy: at + answerWithinMs,
    overdueAt: at + approvals.escalationSlaMinutes * 60_000,
    useWithinMs: approvals.useWithinSeconds * 1000,
    arguments: deps.redactor.object(call.args).value,
  };
}

async function open(deps: KernelDeps, asked: Asked): Promise<Round> {
  const { call, decision, after } = asked;
  const { tenant } = call.request.context.caller;
  // At most one open approval for a digest: the number opened so far is the version that the commit is bound to.
  const slot = `${encodeURIComponent(tenant)}|approval|${call.actionDigest()}`;
  const opened = await deps.store.counter(slot);
  const at = deps.clock.now();
  if ((await deps.approvals.standing(tenant, call.actionDigest(), at)) !== undefined) return again();

  const subject = subjectOf(deps, asked, at);
  const opening = await deps.approvals.opening(subject, call.args, call.capability?.server);
  const noted = waiting({ request: call.request, at }, decision, subject.approvalId, expected(asked));
  const written = await deps.store.commit({
    appends: [...(noted.appends ?? []), ...(opening.appends ?? [])],
    rows: [...(noted.rows ?? []), ...(opening.rows ?? [])],
    counters: [{ key: slot, add: 1 }],
    guards: [{ key: slot, is: opened }],
    after,
  });
  // Another call opened one for the same digest first, or this call moved on: look again.
  if (!written.ok) return again();
  const standing = await deps.approvals.get(tenant, subject.approvalId, at);
  if (standing?.approval.state !== 'pending') return again();
  return answer({
    ...nothingRan(decision, call.request.toolCallId),
    status: 'waiting_approval',
    approval: standing.approval,
    askable: true,
  });
}
