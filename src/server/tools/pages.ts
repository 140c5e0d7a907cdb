// Owns what the listing tools share: one input, one output, one way to answer.
import { z } from 'zod';
import type { ListPage, ListQuery, Runtime } from '../../runtime/contract.ts';
import type { Caller } from '../../kernel/identity.ts';
import { structuredResult } from '../results.ts';
import { closed, list, OPEN, orError, TEXT } from './schemas.ts';
import { agentTool, LOOKS_ONLY } from './tool.ts';
import type { AgentTool } from './tool.ts';

const input: z.ZodType<ListQuery> = z.strictObject({
  filter: z.exactOptional(
    z.strictObject({
      status: z.exactOptional(z.string().min(1)),
      session_id: z.exactOptional(z.string().min(1)),
      tool: z.exactOptional(z.string().min(1)),
    }),
  ),
  limit: z.exactOptional(z.int().min(1).max(200)).describe('Default 50.'),
  cursor: z.exactOptional(z.string().min(1)).describe('next_cursor of the page before.'),
});

const output = orError(closed({ items: list(OPEN), next_cursor: TEXT }, ['next_cursor']));

export interface Listing {
  noun: 'requests' | 'sessions' | 'approvals' | 'capabilities' | 'capability-sessions';
  description: string;
  read(runtime: Runtime, caller: Caller, query: ListQuery): Promise<ListPage>;
}

export function listingTool(listing: Listing): AgentTool {
  const words = listing.noun.replace('-', ' ');
  return agentTool({
    id: `agent:list-${listing.noun}`,
    sets: ['operate'],
    audience: 'operators',
    title: `List ${words}`,
    description: listing.description,
    annotations: LOOKS_ONLY,
    input,
    output,
    async run(query, { runtime, caller }) {
      const page = await listing.read(runtime, caller, query);
      const more = page.next_cursor === undefined ? '' : ', and there are more';
      return structuredResult(page, `${page.items.length} ${words}${more}.`);
    },
  });
}
