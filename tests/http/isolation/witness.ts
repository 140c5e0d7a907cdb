// Owns the judgement: everything that a principal receives is read here, and nothing in it may have been the other's.
export type Who = 'alice' | 'bob';

export const OTHER: Readonly<Record<Who, Who>> = { alice: 'bob', bob: 'alice' };

/** Handles that are given out, and trace ids. */
export const HANDLE: RegExp = /\b(?:ses|run|call|apr|cap|rcp|esc)_[0-9a-hjkmnp-tv-z]{26}\b|\b[0-9a-f]{32}\b/g;

/** Every text that a principal writes holds its mark, so that whatever comes of it can be told. */
export function mark(who: Who): string {
  return `${who}-word-`;
}

export interface Witness {
  /** `sent` is what was asked: whoever sends a foreign handle may read it in the answer. */
  saw(who: Who, received: string, sent?: string): void;
  /** Handles that this principal was given. */
  handles(who: Who, prefix: string): readonly string[];
  readonly violations: string[];
  readonly bytes: number;
}

export function createWitness(): Witness {
  const owners = new Map<string, Who>();
  const own: Record<Who, Map<string, string[]>> = { alice: new Map(), bob: new Map() };
  const violations: string[] = [];
  let bytes = 0;

  function take(who: Who, handle: string): void {
    owners.set(handle, who);
    const prefix = handle.slice(0, 4);
    const known = own[who].get(prefix) ?? [];
    known.push(handle);
    own[who].set(prefix, known);
  }

  return {
    violations,
    get bytes() {
      return bytes;
    },
    handles: (who, prefix) => own[who].get(prefix) ?? [],
    saw(who, received, sent = '') {
      bytes += received.length;
      const around = (at: number): string => received.slice(Math.max(0, at - 60), at + 60);
      const foreign = received.indexOf(mark(OTHER[who]));
      if (foreign >= 0 && !sent.includes(mark(OTHER[who]))) {
        violations.push(`${who} read a word of ${OTHER[who]}: ${around(foreign)}`);
      }
      for (const { 0: handle, index } of received.matchAll(HANDLE)) {
        const owner = owners.get(handle);
        if (owner === undefined && !sent.includes(handle)) take(who, handle);
        else if (owner === OTHER[who] && !sent.includes(handle)) {
          violations.push(`${who} read ${handle} of ${OTHER[who]}: ${around(index)}`);
        }
      }
    },
  };
}
