// Owns what an erasure says about itself: the records on the tenant's workspace chain and on the chain itself (S4).
import type { EpochMs } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { ERASED_TYPE, SEGMENT_TYPE } from './contract.ts';
import { isChain } from './chain.ts';
import type { Append, ChainKey } from './contract.ts';

/** Records of these types are never erased: they are what tells an erased payload, or a removed record, from a stolen one. */
export const LASTING_TYPES: readonly string[] = [ERASED_TYPE, SEGMENT_TYPE];

export interface Erasure {
  chain: ChainKey;
  /** Rising. */
  seqs: number[];
  at: EpochMs;
  reason: string;
}

/** `[[1,3],[7,7]]` for 1, 2, 3, 7: a whole chain is one pair, however long. */
export function rangesOf(seqs: number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const seq of seqs) {
    const last = ranges.at(-1);
    if (last?.[1] === seq - 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}

/** The records of an erasure; throws INVALID_INPUT when nothing would be erased. */
export function erasureRecords(erasure: Erasure): Append[] {
  const { chain, seqs, at, reason } = erasure;
  if (seqs.length === 0) {
    throw new RuntimeError('INVALID_INPUT', 'There is no payload to erase there.', { field: '/seqs' });
  }
  const { tenant, aggregate, id } = chain;
  const workspace: ChainKey = { tenant, aggregate: 'workspace', id: 'workspace' };
  const evidence = { chain: { tenant, aggregate, id }, seqs: rangesOf(seqs), reason };
  const places = isChain(chain, workspace) ? [workspace] : [workspace, chain];
  return places.map((place) => ({ chain: place, when: { epoch: 0 }, type: ERASED_TYPE, at, evidence }));
}
