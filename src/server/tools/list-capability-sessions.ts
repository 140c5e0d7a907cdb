// Owns the tool `agent:list-capability-sessions`.
import { listingTool } from './pages.ts';
import type { AgentTool } from './tool.ts';

export const listCapabilitySessions: AgentTool = listingTool({
  noun: 'capability-sessions',
  description:
    'Stateful connections to servers, newest first: what each waits for, how it ended, which one continues it. Filter by status.',
  read: (runtime, caller, query) => runtime.listCapabilitySessions(caller, query),
});
