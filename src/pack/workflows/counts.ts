// Owns how many turns and calls a workflow has had: the sums over the sessions that it named, as their rows show them now.
import type { Store } from '../../store/contract.ts';
import { numberAt } from '../records.ts';
import type { Known } from './result.ts';
import type { LiveWorkflow } from './state.ts';

export async function countsOf(
  store: Store,
  tenant: string,
  { sessions }: LiveWorkflow,
): Promise<Pick<Known, 'turnCount' | 'toolCallCount'>> {
  const counts = { turnCount: 0, toolCallCount: 0 };
  for (const id of sessions) {
    const row = await store.row('session', tenant, id); // none: named, and its process died before it began
    counts.turnCount += numberAt(row?.body ?? {}, 'turn_count') ?? 0;
    counts.toolCallCount += numberAt(row?.body ?? {}, 'tool_call_count') ?? 0;
  }
  return counts;
}
