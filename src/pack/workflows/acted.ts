// Owns whether a session may have had an effect outside, by its own records of the calls that it ran.
import type { ChainKey, Store } from '../../store/contract.ts';
import { textAt } from '../records.ts';
import { readable } from '../sessions/session-events.ts';
import type { Arrival } from './outcome.ts';

const PAGE = 200;
const ENDS: ReadonlySet<string> = new Set(['call_finished', 'call_settled']);

/** A call that took effect, in part or perhaps, or that has no end. What was erased, or cannot be read, may be one. */
async function mayHaveActed(store: Store, chain: ChainKey): Promise<boolean> {
  const open = new Set<string>();
  for (let from = 1; ; from += PAGE) {
    const page = await store.read(chain, from, PAGE);
    for (const record of page) {
      const { type, evidence } = readable(record);
      if (type !== 'call_started' && !ENDS.has(type)) continue;
      if (evidence === undefined) return true;
      const callId = textAt(evidence, 'call_id') ?? '';
      if (type === 'call_started') open.add(callId);
      else if (evidence.side_effect_status !== 'not_executed') return true;
      else open.delete(callId);
    }
    if (page.length < PAGE) return open.size > 0;
  }
}

function isFailure(arrival: Arrival): boolean {
  if ('thrown' in arrival) return true;
  const { kind } = arrival.said;
  return kind === 'error' || kind === 'canceled' || kind === 'expired';
}

/** How a run ended; of one that failed, with what its session had done by then. Never rejects. */
export async function withEffect(store: Store, chain: ChainKey, arrival: Arrival): Promise<Arrival> {
  if (!isFailure(arrival)) return arrival;
  try {
    return { ...arrival, hasActed: await mayHaveActed(store, chain) };
  } catch (thrown) {
    return { node: arrival.node, thrown, hasActed: true };
  }
}
