// Owns which tools policy leaves reachable whatever their arguments are, and the memory of that answer.
//
// R1: an answer is given again only to the same identity, agent, lane, task and intent, and only while every definition is
//     the very one that was judged; policy itself does not change while a process runs.
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
  tools: readonly ReachableTool[];
}

// Beyond this the memory is emptied; whoever asks again is judged anew.
const MOST = 256;

type Who = Omit<ReachInput, 'tool' | 'pin'>;

function judge(
  { gate }: KernelDeps,
  ids: readonly string[],
  definitions: Judged['definitions'],
  who: Who,
): Judged {
  const tools = ids.flatMap((tool, index): ReachableTool[] => {
    const definition = definitions[index];
    const reach = gate.reach({ ...who, tool, pin: definition?.pin ?? { state: 'unpinned' } });
    return reach.reachable && definition !== undefined
      ? [{ definition, approvalRequired: reach.approvalRequired }]
      : [];
  });
  return { definitions, tools };
}

export function createReachable(deps: KernelDeps): Reachable {
  const ids = Object.keys(deps.config.capabilities);
  const known = new Map<string, Judged>();
  return async ({ caller, agentId }, session) => {
    await deps.directory.refresh?.();
    const { id, lane, task, intent } = session;
    const key = JSON.stringify([caller, agentId, lane, task, intent]);
    const held = known.get(key);
    const definitions = ids.map((tool) => deps.directory.definition(tool));
    if (held !== undefined && definitions.every((one, index) => one === held.definitions[index])) {
      return held.tools;
    }
    if (known.size >= MOST) known.clear();
    const of = { id, lane, task, ...(intent === undefined ? {} : { intent }) };
    const judged = judge(deps, ids, definitions, { caller, agentId, session: of });
    known.set(key, judged);
    return judged.tools;
  };
}
