// Owns the message that tells a model how an approval ended, and the check that keeps it from being believed: the text is
// only a claim of the host; what counts is the kernel's own record.
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { parseJson } from '../base/strict-json.ts';
import type { ApprovalBook } from './kernel-port.ts';
import type { TurnMessage } from './turn/contract.ts';

export const APPROVAL_TOOL = 'kernel:approval';

export interface ApprovalResolution {
  requestId: string;
  approved: boolean;
  approvedBy: string;
  toolName?: string;
  reason?: string;
}

/**
 * Tells a model how an approval was answered. It is a message and no answer: the kernel goes by its own record, and
 * `verifyApprovalResolution` says whether the two agree.
 */
export function createApprovalResolutionMessage(resolution: ApprovalResolution): TurnMessage {
  const { requestId, approved, approvedBy, toolName = APPROVAL_TOOL, reason } = resolution;
  return {
    role: 'tool',
    tool_name: toolName,
    tool_call_id: requestId,
    content: JSON.stringify({
      approval: {
        request_id: requestId,
        approved,
        approved_by: approvedBy,
        ...(reason === undefined ? {} : { reason }),
      },
    }),
  };
}

export type VerifiedResolution =
  | { ok: true; approval: { request_id: string; approved: boolean; approved_by: string; reason?: string } }
  | {
      ok: false;
      why: 'not_an_approval_message' | 'unknown_approval' | 'not_resolved' | 'differs_from_record';
    };

interface Claim {
  requestId: string;
  approved: boolean;
  approvedBy: string;
}

function claimOf(message: TurnMessage): Claim | undefined {
  if (message.role !== 'tool' || message.tool_call_id === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(message.content);
  } catch {
    return undefined;
  }
  const approval = isObject(value) ? value.approval : undefined;
  if (!isObject(approval)) return undefined;
  const { request_id: requestId, approved, approved_by: approvedBy } = approval as JsonObject;
  if (requestId !== message.tool_call_id || typeof approved !== 'boolean' || typeof approvedBy !== 'string') {
    return undefined;
  }
  return { requestId: message.tool_call_id, approved, approvedBy };
}

/** Whose approval it must be; a foreign one answers like an unknown one. */
export interface ApprovalOwner {
  tenant: string;
  principal: string;
  /** Only an approval of this session counts, when given. */
  sessionId?: string;
}

/** Compares an approval message with the kernel's record. Only what comes back with `ok` may be acted on. */
export async function verifyApprovalResolution(
  book: ApprovalBook,
  owner: ApprovalOwner,
  message: TurnMessage,
): Promise<VerifiedResolution> {
  const claim = claimOf(message);
  if (claim === undefined) return { ok: false, why: 'not_an_approval_message' };
  const approval = await book.approvalFor(owner.tenant, claim.requestId);
  const isOwn =
    approval?.subject.principal === owner.principal &&
    (owner.sessionId === undefined || approval.subject.sessionId === owner.sessionId);
  if (approval === undefined || !isOwn) return { ok: false, why: 'unknown_approval' };
  if (approval.state !== 'approved' && approval.state !== 'consumed' && approval.state !== 'rejected') {
    return { ok: false, why: 'not_resolved' };
  }
  const approved = approval.state !== 'rejected';
  if (approved !== claim.approved || approval.by.principal !== claim.approvedBy) {
    return { ok: false, why: 'differs_from_record' };
  }
  return {
    ok: true,
    approval: {
      request_id: claim.requestId,
      approved,
      approved_by: approval.by.principal,
      ...(approval.note === undefined ? {} : { reason: approval.note }),
    },
  };
}
