// Owns the tool `agent:inspect`: everything that is recorded about one thing.
import { z } from 'zod';
import type { InspectKind } from '../../runtime/contract.ts';
import { structuredResult } from '../results.ts';
import { closed, list, oneOf, OPEN, orError, TEXT } from './schemas.ts';
import { agentTool, LOOKS_ONLY } from './tool.ts';
import type { AgentTool } from './tool.ts';

const KINDS = [
  'request',
  'run',
  'session',
  'approval',
  'capability',
  'capability_session',
] as const satisfies InspectKind[];

export const inspect: AgentTool = agentTool({
  id: 'agent:inspect',
  sets: ['operate', 'gateway'],
  audience: 'operators',
  title: 'Inspect one thing',
  description:
    'State, timeline, decisions, receipts and links of a request, run, session, approval, capability or capability session.',
  annotations: LOOKS_ONLY,
  input: z.strictObject({ kind: z.enum(KINDS), id: z.string().min(1) }),
  output: orError(
    closed(
      {
        kind: oneOf(...KINDS),
        id: TEXT,
        state: OPEN,
        timeline: list(OPEN),
        decisions: list(OPEN),
        receipts: list(OPEN),
        links: OPEN,
        newest_only: list(oneOf('timeline', 'decisions', 'receipts')),
      },
      ['newest_only'],
    ),
  ),
  async run({ kind, id }, { runtime, caller }) {
    const found = await runtime.inspect(caller, kind, id);
    const newest = found.newest_only?.includes('timeline') === true ? 'the newest ' : '';
    return structuredResult(found, `${kind} ${found.id}: ${newest}${found.timeline.length} records.`);
  },
});
