// Owns agent.yaml: who the agent is and its inventory of tools.
import { closed, label, plainId, toolNames } from '../shape.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';

export interface AgentPart {
  id: string;
  displayName: string;
  ownerTeam: string;
  runtimePrincipal: string;
  /** As written: capability names or canonical ids. */
  approved: string[];
}

const schema = closed({
  agent: closed({
    id: plainId.describe('The agent; on every record.'),
    display_name: label.describe('What people read.'),
    owner_team: plainId.describe('The team that answers for this agent.'),
    runtime_principal: plainId.describe('The identity under which the agent itself runs.'),
  }),
  approved_capabilities: toolNames.describe('The inventory: a tool outside it is denied.'),
});

export const agentFile: ConfigFile<AgentPart> = defineFile('agent.yaml', true, schema, (raw) => ({
  id: raw.agent.id,
  displayName: raw.agent.display_name,
  ownerTeam: raw.agent.owner_team,
  runtimePrincipal: raw.agent.runtime_principal,
  approved: raw.approved_capabilities,
}));
