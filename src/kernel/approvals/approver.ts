// Owns the rule of who may answer an approval, and when an answer through a channel is strong enough. Pure.
import type { Attestation } from '../../config/types.ts';
import type { Answerer, ApprovalSubject, Channel, Delivery } from './approval.ts';

export type Sufficiency = { ok: true } | { ok: false; why: string };

const STRENGTH: Record<Attestation, number> = { client: 0, same_user: 1, credential: 2 };

// Nobody reads a prompt and decides within a second; such an accept comes from a program.
const FASTEST_PERSON_MS = 1000;
// Nor is a question seen and declined this fast: the client declined by itself.
const FASTEST_SHOWN_MS = 250;

/** Clients known to answer elicitation without showing it. Names are labels, so this can only lower trust. */
const QUIRK_CLIENTS: readonly RegExp[] = [/auto-?accept/i, /headless/i];

/** Whether this is somebody whose answer is asked for. */
export function mayAnswer(
  answerer: Pick<Answerer, 'tenant' | 'principal' | 'roles'>,
  subject: ApprovalSubject,
): Sufficiency {
  if (answerer.tenant !== subject.tenant) return { ok: false, why: 'another tenant' };
  const { approver } = subject;
  if (approver === 'principal') {
    return answerer.principal === subject.principal || answerer.roles.includes('approver')
      ? { ok: true }
      : { ok: false, why: 'only the principal may answer' };
  }
  if (approver === 'other') {
    return answerer.principal !== subject.principal
      ? { ok: true }
      : { ok: false, why: 'somebody other than the principal must answer' };
  }
  const role = approver.replace(/^role:/, '');
  return answerer.roles.includes(role)
    ? { ok: true }
    : { ok: false, why: `only somebody with the role ${role} may answer` };
}

const ELICITED: ReadonlySet<Channel> = new Set(['elicitation', 'url']);

/** Asked through an MCP client, whatever the channel or the attestation says beside it: a program may have answered. */
function isElicited(answerer: Answerer): boolean {
  return answerer.attestation === 'client' || ELICITED.has(answerer.channel);
}

/** What a delivery counts as: a question declined before anybody can have seen it was not shown. */
export function asShown(answerer: Answerer, delivery: Delivery): Delivery {
  if (delivery.kind !== 'declined_by_client' || !isElicited(answerer)) return delivery;
  const { latencyMs } = delivery;
  return latencyMs >= FASTEST_SHOWN_MS ? delivery : { kind: 'not_shown', why: 'too_fast', latencyMs };
}

/**
 * Whether this answer moves the approval. A refusal to allow is taken from anybody who may answer, through any channel:
 * it can only prevent an effect.
 */
export function suffices(
  answerer: Answerer,
  subject: ApprovalSubject,
  delivery: Delivery & { kind: 'answered' },
): Sufficiency {
  const allowed = mayAnswer(answerer, subject);
  if (!allowed.ok || delivery.decision === 'reject') return allowed;
  if (isElicited(answerer) && subject.risk !== 'low') {
    if (!(delivery.latencyMs >= FASTEST_PERSON_MS)) {
      return { ok: false, why: 'the client answered faster than a person can read' };
    }
    if (QUIRK_CLIENTS.some((quirk) => quirk.test(answerer.clientName ?? ''))) {
      return { ok: false, why: 'this client is known to answer by itself' };
    }
  }
  if (STRENGTH[answerer.attestation] < STRENGTH[subject.requiredAttestation]) {
    return {
      ok: false,
      why: `an answer attested by ${answerer.attestation} does not suffice; ${subject.requiredAttestation} is needed`,
    };
  }
  return { ok: true };
}

/** Channels on which a sufficient answer can be given, as texts for people. */
export function answerPlaces(subject: ApprovalSubject): string[] {
  // Only the principal's own client is ever asked.
  const isAskedThere = subject.requiredAttestation === 'client' && subject.approver !== 'other';
  const places = isAskedThere ? ['elicitation'] : [];
  if (subject.requiredAttestation !== 'credential') {
    places.push(`terminal: agent-runtime approvals resolve ${subject.approvalId}`);
  }
  return places.length > 0 ? places : ['a channel with an approver credential'];
}
