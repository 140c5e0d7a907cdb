// Owns the tool `agent:list-approvals`.
import { listingTool } from './pages.ts';
import type { AgentTool } from './tool.ts';

export const listApprovals: AgentTool = listingTool({
  noun: 'approvals',
  description: 'Approvals, newest first; filter by status, for example pending.',
  read: (runtime, caller, query) => runtime.listApprovals(caller, query),
});
