// Owns what an engine notes of a chain whose beginning was removed (S7). The note lets it tell a removed record from a lost
// one while it works; the proof is the signed record on the workspace chain, and a verifier believes nothing else.
import type { EpochMs } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { ChainPoint } from './chain.ts';
import type { ChainKey, Commit, Row } from './contract.ts';

export function segmentRowId({ aggregate, id }: ChainKey): string {
  return `${aggregate}/${id}`;
}

function segmentRow(chain: ChainKey, upTo: ChainPoint, at: EpochMs): Row {
  const body: JsonObject = { through: upTo.seq, hash: upTo.hash };
  const { tenant } = chain;
  const id = segmentRowId(chain);
  return { kind: 'segment', tenant, id, principal: 'workspace', status: 'closed', updatedAt: at, body };
}

/** The point behind which records are kept; undefined for a row that says nothing. */
export function removedUpTo(body: unknown): ChainPoint | undefined {
  if (!isObject(body)) return undefined;
  const { through, hash } = body;
  return typeof through === 'number' && typeof hash === 'string' ? { seq: through, hash } : undefined;
}

export interface Retirement {
  chain: ChainKey;
  upTo: ChainPoint;
  at: EpochMs;
  closing: Commit;
}

/** What is committed with a removal. Throws INVALID_INPUT for the chain that vouches for all others. */
export function retirementCommit({ chain, upTo, at, closing }: Retirement): Commit {
  if (chain.aggregate === 'workspace') {
    throw new RuntimeError(
      'INVALID_INPUT',
      'The chain of the workspace vouches for the others and stays whole.',
      {
        field: '/chain',
      },
    );
  }
  return { ...closing, rows: [...(closing.rows ?? []), { row: segmentRow(chain, upTo, at) }] };
}
