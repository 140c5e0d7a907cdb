// Owns looking at a workflow: where it stands, how it went on, and its picture. Nothing moves by it.
import type { Caller } from '../../kernel/identity.ts';
import type { Store } from '../../store/contract.ts';
import { continuationsOf } from './continuations.ts';
import type { WorkflowLooks, WorkflowResult } from './contract.ts';
import { countsOf } from './counts.ts';
import { graphJson, graphMermaid } from './export.ts';
import { loadWorkflow } from './journal.ts';
import type { HeldWorkflow } from './journal.ts';
import { resultOf } from './result.ts';
import { readTools } from './sealed.ts';

export async function standingOf(store: Store, held: HeldWorkflow): Promise<WorkflowResult> {
  const { chain, facts, state } = held;
  const toolOf = await readTools(store, chain, state);
  return resultOf(facts, state, { toolOf, ...(await countsOf(store, chain.tenant, state)) });
}

/** Needs the journal and nothing else. */
export function workflowLooks(store: Store): WorkflowLooks {
  const load = (caller: Caller, id: string): Promise<HeldWorkflow> => loadWorkflow(store, caller, id);
  return {
    inspect: async (caller, id) => standingOf(store, await load(caller, id)),
    continuations: async (caller, id) => continuationsOf(store, (await load(caller, id)).chain),
    async graph(caller, id) {
      const { definition, state } = await load(caller, id);
      return { mermaid: graphMermaid(definition, state), json: graphJson(definition, state) };
    },
  };
}
