// Owns the question of an approval as a task puts it: one key in every process and connection, and when it was first
// shown. Both lie in the store, so that an answer counts whoever asked, and a too fast one is known as such everywhere.
import type { Clock, EpochMs } from '../base/clock.ts';
import { notFound } from '../inspect/visible.ts';
import type { Approval } from '../kernel/approvals/approval.ts';
import type { Caller } from '../kernel/identity.ts';
import type { OpenQuestion } from '../pack/managed/surface.ts';
import type { Store } from '../store/contract.ts';

export interface QuestionParts {
  store: Store;
  clock: Clock;
  approvalFor(tenant: string, approvalId: string): Promise<Approval | undefined>;
}

/** A client that has answered is not asked under the same key again, so each answer ends its key. */
function keyOf({ subject, deliveries }: Approval): string {
  const answers = deliveries.filter((made) => made.channel === 'elicitation').length;
  return `${subject.approvalId}.${answers}`;
}

async function firstShown({ store, clock }: QuestionParts, counter: string): Promise<EpochMs> {
  const now = clock.now();
  const done = await store.commit({
    counters: [{ key: counter, add: now }],
    guards: [{ key: counter, is: 0 }],
  });
  return done.ok ? now : store.counter(counter);
}

/** Throws NOT_FOUND for an approval that is foreign, unknown or no longer pending. */
export async function openQuestion(
  parts: QuestionParts,
  caller: Caller,
  approvalId: string,
  how: 'show' | 'look',
): Promise<OpenQuestion> {
  const { tenant, principal } = caller;
  const approval = await parts.approvalFor(tenant, approvalId);
  if (approval?.state !== 'pending' || approval.subject.principal !== principal) {
    throw notFound('approval', approvalId);
  }
  const key = keyOf(approval);
  const counter = `${encodeURIComponent(tenant)}|question|${key}`;
  const known = await parts.store.counter(counter);
  const shownAt = known === 0 && how === 'show' ? await firstShown(parts, counter) : known;
  return { key, ...(shownAt === 0 ? {} : { shownAt }) };
}
