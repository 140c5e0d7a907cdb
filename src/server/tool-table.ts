// Owns which tools one connection offers: chosen by `--tools` and the caller's roles, in fixed order, found by either
// spelling in constant time. Read from the runtime once and again only after it says that the tools changed, which it is
// asked each time.
import { isOperator } from '../kernel/identity.ts';
import type { Caller } from '../kernel/identity.ts';
import type { Runtime } from '../runtime/contract.ts';
import type { ToolSet } from './connection.ts';
import { nameTable } from './tool-names.ts';
import { cancel } from './tools/cancel.ts';
import { callTool } from './tools/call-tool.ts';
import { capabilityEntry } from './tools/capability.ts';
import { executeTurn } from './tools/execute-turn.ts';
import { explainPolicy } from './tools/explain-policy.ts';
import { getHealth } from './tools/get-health.ts';
import { inspect } from './tools/inspect.ts';
import { listApprovals } from './tools/list-approvals.ts';
import { listCapabilities } from './tools/list-capabilities.ts';
import { listCapabilitySessions } from './tools/list-capability-sessions.ts';
import { listRequests } from './tools/list-requests.ts';
import { listSessions } from './tools/list-sessions.ts';
import { resumeSession } from './tools/resume-session.ts';
import { resumeWorkflow } from './tools/resume-workflow.ts';
import { startSession } from './tools/start-session.ts';
import { startWorkflow } from './tools/start-workflow.ts';
import type { AgentTool, ToolEntry } from './tools/tool.ts';

/** Listing order. There is no tool that answers an approval: an agent's own connection must not have one. */
const AGENT_TOOLS: readonly AgentTool[] = [
  executeTurn,
  callTool,
  startSession,
  resumeSession,
  startWorkflow,
  resumeWorkflow,
  cancel,
  listRequests,
  listSessions,
  listApprovals,
  listCapabilities,
  listCapabilitySessions,
  inspect,
  getHealth,
  explainPolicy,
];

export interface OfferedTools {
  entries: readonly ToolEntry[];
  /** By canonical id or portable name. */
  find(name: string): ToolEntry | undefined;
}

export interface ToolTable {
  current(): Promise<OfferedTools>;
  /** The next `current` reads the runtime again. */
  forget(): void;
}

function agentTools(set: ToolSet, caller: Caller): ToolEntry[] {
  const operator = isOperator(caller);
  return AGENT_TOOLS.filter((tool) => set === 'all' || tool.sets.includes(set))
    .filter((tool) => operator || tool.audience === 'everybody')
    .map((tool) => tool.entry());
}

async function offer(runtime: Runtime, caller: Caller, set: ToolSet): Promise<OfferedTools> {
  const exposed = set === 'gateway' || set === 'all' ? await runtime.exposedTools(caller) : [];
  const entries = [...agentTools(set, caller), ...exposed.map(capabilityEntry)];
  const names = nameTable(entries.map((entry) => entry.id));
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  return {
    entries,
    find: (name) => {
      const id = names.get(name);
      return id === undefined ? undefined : byId.get(id);
    },
  };
}

export function createToolTable(runtime: Runtime, caller: Caller, set: ToolSet): ToolTable {
  let held: Promise<OfferedTools> | undefined;
  return {
    current: async () => {
      await runtime.refreshTools();
      if (held !== undefined) return held;
      const reading = offer(runtime, caller, set);
      held = reading;
      // A failed read is not kept: the next request tries again.
      reading.catch(() => {
        if (held === reading) held = undefined;
      });
      return reading;
    },
    forget: () => {
      held = undefined;
    },
  };
}
