// Owns the tool `agent:list-requests`.
import { listingTool } from './pages.ts';
import type { AgentTool } from './tool.ts';

export const listRequests: AgentTool = listingTool({
  noun: 'requests',
  description: 'Governed calls and turns, newest first, with their status.',
  read: (runtime, caller, query) => runtime.listRequests(caller, query),
});
