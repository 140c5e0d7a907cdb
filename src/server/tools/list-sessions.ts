// Owns the tool `agent:list-sessions`.
import { listingTool } from './pages.ts';
import type { AgentTool } from './tool.ts';

export const listSessions: AgentTool = listingTool({
  noun: 'sessions',
  description: 'Sessions, newest first, with their status.',
  read: (runtime, caller, query) => runtime.listSessions(caller, query),
});
