// Owns the verdict over chains of evidence: the first bad record of each, what is erased, and whether the end is known.
// V1  Without an anchor a cut tail cannot be seen, and the verdict says so: completeness unknown.
// V3  A chain whose first records are gone is whole only where a signed segment vouches for exactly those; then it goes on
//     from there. An unsigned one, or one signed with a key that is not known here, vouches for nothing.
// V2  With an anchor every chain must reach the anchored record with the anchored hash.
import { checkRecord, CHAIN_START, isChain } from '../store/chain.ts';
import type { ChainPoint, CheckableRecord } from '../store/chain.ts';
import type { ChainKey, Head } from '../store/contract.ts';
import type { ClosedSegment } from './segments.ts';

export interface BadRecord {
  chain: ChainKey;
  /** The place in the chain where the fault stands, 1-based. */
  seq: number;
  fault: string;
}

export interface Verdict {
  ok: boolean;
  chains: number;
  records: number;
  erased: number;
  /** Records that were removed under a signed segment (V3). */
  removed: number;
  bad: BadRecord[];
  /** verified: every anchored chain reaches its anchor; cut: one does not; unknown: no anchor was given (V1). */
  completeness: 'verified' | 'cut' | 'unknown';
  /** Chains that end before their anchor, or are gone. */
  missing: { chain: ChainKey; have: number; anchored: number }[];
  heads: Head[];
}

interface Progress {
  key: ChainKey;
  at: ChainPoint;
  broken: boolean;
  /** The segment that it goes on from. */
  closed?: ClosedSegment;
  /** Hash at the anchored seq, once passed. */
  anchoredHash?: string;
}

export function chainName(chain: ChainKey): string {
  return `${chain.tenant}/${chain.aggregate}/${chain.id}`;
}

/** Takes records of many chains in any interleaving, each chain in order, and judges them. */
export class Verifier {
  readonly #chains = new Map<string, Progress>();
  readonly #anchors: Map<string, Head>;
  readonly #anchored: boolean;
  #records = 0;
  #erased = 0;
  #removed = 0;
  readonly #bad: BadRecord[] = [];
  readonly #segments = new Map<string, ClosedSegment[]>();

  constructor(anchor?: readonly Head[], segments: readonly ClosedSegment[] = []) {
    for (const segment of segments) {
      const name = chainName(segment.chain);
      this.#segments.set(name, [...(this.#segments.get(name) ?? []), segment]);
    }
    this.#anchored = anchor !== undefined;
    this.#anchors = new Map((anchor ?? []).map((head) => [chainName(head.chain), head]));
  }

  add(record: CheckableRecord): void {
    const key = record.header.chain;
    const name = chainName(key);
    let chain = this.#chains.get(name);
    if (chain === undefined) {
      chain = { key, at: CHAIN_START, broken: false };
      this.#chains.set(name, chain);
    }
    this.#records += 1;
    if (record.evidenceBytes === undefined) this.#erased += 1;
    if (chain.broken) return; // the first bad record of a chain is the finding; what follows hangs in the air
    if (chain.at === CHAIN_START && record.header.seq > 1) {
      const fault = this.#goOnFrom(chain, record.header.seq - 1);
      if (fault !== undefined) {
        this.#break(chain, fault);
        return;
      }
    }
    const fault = isChain(key, chain.key) ? checkRecord(record, chain.at) : 'chain';
    if (fault !== undefined) {
      this.#break(chain, fault);
      return;
    }
    chain.at = { seq: record.header.seq, hash: record.hash };
    if (this.#anchors.get(name)?.seq === record.header.seq) chain.anchoredHash = record.hash;
  }

  /** A chain whose records ended, with the head that it should have; all of them may have been removed (V3). */
  ended(head: Head): void {
    const name = chainName(head.chain);
    const chain = this.#chains.get(name) ?? { key: head.chain, at: CHAIN_START, broken: false };
    this.#chains.set(name, chain);
    if (chain.broken || chain.at.seq >= head.seq) return;
    const fault = chain.at === CHAIN_START ? this.#goOnFrom(chain, head.seq) : 'missing';
    if (fault !== undefined) this.#break(chain, fault);
    else if (chain.at.hash !== head.hash) this.#break(chain, 'link');
  }

  #break(chain: Progress, fault: string): void {
    chain.broken = true;
    this.#bad.push({ chain: chain.key, seq: chain.at.seq + 1, fault });
  }

  /** V3. What is wrong with that, or undefined. */
  #goOnFrom(chain: Progress, through: number): string | undefined {
    const found = (this.#segments.get(chainName(chain.key)) ?? []).filter((one) => one.through === through);
    const sound = found.find(({ fault }) => fault === undefined);
    if (sound === undefined) return found[0]?.fault === undefined ? 'missing' : `segment ${found[0].fault}`;
    chain.closed = sound;
    chain.at = { seq: sound.through, hash: sound.hash };
    this.#removed += through;
    const anchor = this.#anchors.get(chainName(chain.key));
    // A signed segment vouches for every record in it.
    if (anchor !== undefined && anchor.seq < through) chain.anchoredHash = anchor.hash;
    else if (anchor?.seq === through) chain.anchoredHash = sound.hash;
    return undefined;
  }

  /** A record that could not even be read. */
  unreadable(chain: ChainKey, seq: number, fault: string): void {
    const name = chainName(chain);
    const known = this.#chains.get(name);
    if (known?.broken === true) return;
    this.#chains.set(name, { key: chain, at: known?.at ?? CHAIN_START, broken: true });
    this.#bad.push({ chain, seq, fault });
  }

  verdict(): Verdict {
    const missing: Verdict['missing'] = [];
    for (const [name, head] of this.#anchors) {
      const chain = this.#chains.get(name);
      const have = chain?.at.seq ?? 0;
      if (have < head.seq) missing.push({ chain: head.chain, have, anchored: head.seq });
      else if (chain?.anchoredHash !== head.hash) {
        this.#bad.push({ chain: head.chain, seq: head.seq, fault: 'anchor' });
      }
    }
    return {
      ok: this.#bad.length === 0 && missing.length === 0,
      chains: this.#chains.size,
      records: this.#records,
      erased: this.#erased,
      removed: this.#removed,
      bad: this.#bad,
      completeness: !this.#anchored ? 'unknown' : missing.length > 0 ? 'cut' : 'verified',
      missing,
      heads: [...this.#chains.values()].map((chain) => ({ chain: chain.key, ...chain.at })),
    };
  }
}
