// Owns which tools policy leaves reachable whatever their arguments are, and the memory of that answer.
//
// R1: an answer is given again only to the same identity, agent, authority, lane, task and intent, and only while every
//     definition and the list of grants are the very ones that were judged; nothing else of policy changes in a process.
import type { DelegationGrant } from '../config/types.ts';
import type { SessionBinding } from './call.ts';
import type { KernelDeps } from './deps.ts';
import type { ToolDefinition } from './execution/executor.ts';
import type { RunContext } from './identity.ts';
import type { ReachInput } from './policy/gate.ts';

export interface ReachableTool {
  definition: ToolDefinition;
  approvalRequired: boolean;
}

export type Reachable = (context: RunContext, session: SessionBinding) => Promise<readonly ReachableTool[]>;

interface Judged {
  definitions: (ToolDefinition | undefined)[];
  grants: readonly DelegationGrant[];
  tools: readonly ReachableTool[];
}

// Beyond this the memory is emptied; whoever asks again is judged anew.
const MOST = 256;

type Who = Omit<ReachInput, 'tool' | 'pin'>;
type Facts = Omit<Judged, 'tools'>;

function judge({ gate }: KernelDeps, ids: readonly string[], facts: Facts, who: Who): Judged {
  const tools = ids.flatMap((tool, index): ReachableTool[] => {
    const definition = facts.definitions[index];
    const reach = gate.reach({ ...who, tool, pin: definition?.pin ?? { state: 'unpinned' } });
    return reach.reachable && definition !== undefined
      ? [{ definition, approvalRequired: reach.approvalRequired }]
      : [];
  });
  return { ...facts, tools };
}

export function createReachable(deps: KernelDeps): Reachable {
  const ids = Object.keys(deps.config.capabilities);
  const known = new Map<string, Judged>();
  return async ({ caller, agentId, delegation }, session) => {
    await deps.directory.refresh?.();
    if (delegation.mode !== 'platform_owned') await deps.refreshGrants?.();
    const { id, lane, task, intent, actor } = session;
    const grants = deps.config.identity.delegations;
    const key = JSON.stringify([caller, agentId, delegation, actor, lane, task, intent]);
    const held = known.get(key);
    const isSame = (tool: string, at: number): boolean =>
      deps.directory.definition(tool) === held?.definitions[at];
    if (held?.grants === grants && ids.every(isSame)) return held.tools;
    const definitions = ids.map((tool) => deps.directory.definition(tool));
    if (known.size >= MOST) known.clear();
    const of = { id, lane, task, actor, ...(intent === undefined ? {} : { intent }) };
    const judged = judge(deps, ids, { definitions, grants }, { caller, agentId, delegation, session: of });
    known.set(key, judged);
    return judged.tools;
  };
}
