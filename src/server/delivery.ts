// Owns what a client's reaction to an approval question means. Pure. The only reading that can move an approval is an
// accept with the required decision; everything else says how the question was not answered.
import { z } from 'zod';
import { cutTo } from '../base/text.ts';
import type { Delivery } from '../kernel/approvals/approval.ts';

const MAX_NOTE = 500;
// No person reads and declines this fast; the client declined by itself without showing anything.
const FASTEST_SHOWN_MS = 250;

/** What is asked. The decision has no default: a client that fills in defaults must not approve by doing so. */
export const APPROVAL_FORM: {
  type: 'object';
  properties: {
    decision: { type: 'string'; title: string; description: string; enum: string[] };
    note: { type: 'string'; title: string; description: string; maxLength: number };
  };
  required: string[];
} = {
  type: 'object',
  properties: {
    decision: {
      type: 'string',
      title: 'Decision',
      description: 'approve: run exactly this call once. reject: do not run it.',
      enum: ['approve', 'reject'],
    },
    note: {
      type: 'string',
      title: 'Note',
      description: 'Kept with the decision. Optional.',
      maxLength: MAX_NOTE,
    },
  },
  required: ['decision'],
};

const answer = z.object({ decision: z.enum(['approve', 'reject']), note: z.string().optional() });

export interface Reaction {
  action: 'accept' | 'decline' | 'cancel';
  content?: unknown;
}

export function readReaction(reaction: Reaction | undefined, latencyMs: number): Delivery {
  switch (reaction?.action) {
    case 'accept': {
      const given = answer.safeParse(reaction.content);
      if (!given.success) return { kind: 'not_shown', why: 'malformed', latencyMs };
      const { decision, note } = given.data;
      return {
        kind: 'answered',
        decision,
        latencyMs,
        ...(note === undefined || note === '' ? {} : { note: cutTo(note, MAX_NOTE) }),
      };
    }
    case 'decline':
      return latencyMs < FASTEST_SHOWN_MS
        ? { kind: 'not_shown', why: 'too_fast', latencyMs }
        : { kind: 'declined_by_client', latencyMs };
    case 'cancel':
      return { kind: 'not_shown', why: 'canceled', latencyMs };
    case undefined:
      return { kind: 'not_shown', why: 'malformed', latencyMs };
  }
}
