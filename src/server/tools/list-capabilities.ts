// Owns the tool `agent:list-capabilities`.
import { listingTool } from './pages.ts';
import type { AgentTool } from './tool.ts';

export const listCapabilities: AgentTool = listingTool({
  noun: 'capabilities',
  description: 'The capabilities of the catalog, with mode, risk and pin.',
  read: (runtime, caller, query) => runtime.listCapabilities(caller, query),
});
