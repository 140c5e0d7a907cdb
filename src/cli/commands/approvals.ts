// Owns `approvals resolve`: a person at a terminal reads exactly what was asked, answers, and the answer is recorded.
// R1  Without a terminal there is no answer: a script cannot attest that a person read anything.
// R2  What is shown is the recorded text, checked against its digest; where it is gone, nothing can be answered.
import { sha256 } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { decidedCompanion } from '../../capabilities/sessions/approval-companion.ts';
import { createLedger } from '../../capabilities/sessions/ledger.ts';
import { mayKnow, notFound } from '../../inspect/visible.ts';
import { createApprovals } from '../../kernel/approvals/approvals.ts';
import type { Approvals, DeliveryOutcome } from '../../kernel/approvals/approvals.ts';
import type { Approval, Delivery } from '../../kernel/approvals/approval.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localAnswerer } from '../identity.ts';
import { withStore } from '../open-store.ts';
import { cell } from '../print.ts';
import { askDecision, askNote, findTerminal, showOn } from '../terminal.ts';
import type { Choice } from '../terminal.ts';
import { loadTrusted } from '../trusted-config.ts';

export interface ResolveOptions extends CommonOptions {
  decision?: string;
  note?: string;
}

function choiceOf(text: string | undefined): Choice | undefined {
  if (text === undefined || text === 'approve' || text === 'reject') return text;
  throw new RuntimeError('USAGE', '--decision must be approve or reject.');
}

async function textOf(approvals: Approvals, approval: Approval): Promise<string> {
  const { tenant, approvalId, shownDigest } = approval.subject;
  const text = await approvals.shown(tenant, approvalId);
  if (text !== undefined && `sha256:${sha256(text)}` === shownDigest) return text;
  throw new RuntimeError(
    'STORE_CORRUPT',
    'The exact text of this approval cannot be read: it was erased, or its key lies in another state directory.',
    { approval_id: approvalId },
  );
}

function told(id: string, outcome: DeliveryOutcome): JsonObject {
  const { approval, moved, why } = outcome;
  return {
    approval_id: id,
    status: approval.state,
    moved,
    ...(why === undefined ? {} : { why }),
    ...('useBy' in approval ? { use_by: new Date(approval.useBy).toISOString() } : {}),
  };
}

async function record(
  context: Context,
  parts: { approvals: Approvals; answerer: ReturnType<typeof localAnswerer>; id: string },
  delivery: Delivery,
): Promise<Exit> {
  const { approvals, answerer, id } = parts;
  const outcome = await approvals.deliver(answerer, id, { delivery, at: context.clock.now() });
  await context.print.result(told(id, outcome), () => {
    if (!outcome.moved) return `Nothing changed: ${cell(outcome.why ?? 'it is still open', 500)}.`;
    return outcome.approval.state === 'approved'
      ? `Approved. The call may run once, when the host repeats it over the same connection, or its session is resumed.`
      : `${outcome.approval.state === 'rejected' ? 'Rejected' : cell(outcome.approval.state)}. The call will not run.`;
  });
  if (outcome.moved || delivery.kind !== 'answered') return EXIT.ok;
  return EXIT.refused;
}

export async function resolveApproval(context: Context, id: string, options: ResolveOptions): Promise<Exit> {
  const prefilled = choiceOf(options.decision);
  const terminal = findTerminal();
  if (terminal === undefined) {
    throw new RuntimeError(
      'APPROVER_NOT_ALLOWED',
      'An approval is answered by a person at a terminal; this is none, so nobody can have read it.',
      { approval_id: id },
    );
  }
  const config = await loadTrusted(context);
  const answerer = localAnswerer(config.identity);
  return withStore(context, async (store) => {
    const ledger = createLedger({ store, clock: context.clock, ids: context.ids });
    const approvals = createApprovals(store, decidedCompanion(ledger));
    const held = await approvals.get(answerer.tenant, id, context.clock.now());
    if (held === undefined || !mayKnow(answerer, held.approval.subject)) throw notFound('approval', id);
    if (held.approval.state !== 'pending') {
      throw new RuntimeError('APPROVAL_NOT_PENDING', `Approval request is not pending: ${id}`, {
        status: held.approval.state,
      });
    }
    const shownAt = context.clock.monotonic();
    showOn(terminal, await textOf(approvals, held.approval), context);
    const decision = await askDecision(terminal, prefilled);
    const note = decision === undefined ? undefined : await askNote(terminal, options.note);
    const latencyMs = Math.round(context.clock.monotonic() - shownAt);
    const parts = { approvals, answerer, id };
    if (decision === undefined || note === undefined) {
      return record(context, parts, { kind: 'withdrawn', latencyMs });
    }
    const said = note === '' ? {} : { note };
    return record(context, parts, { kind: 'answered', decision, latencyMs, ...said });
  });
}
