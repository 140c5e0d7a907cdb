// Owns the reversible map, made for one request, between canonical tool names and what model APIs accept as a name.

export interface WireNames {
  toWire(name: string): string;
  /** A name that is not of this request comes back as it is: whoever reads the answer judges it. */
  fromWire(wire: string): string;
}

// Both APIs document ^[a-zA-Z0-9_-]{1,64}$ for names; a colon is refused.
const MAX_LENGTH = 64;
const ACCEPTED = /^[a-zA-Z0-9_-]+$/;

/** `text` with every character that the APIs refuse replaced, at most `max` long, never empty. */
function accepted(text: string, max: number): string {
  const plain = text.replaceAll(':', '__').replaceAll(/[^a-zA-Z0-9_-]/g, '_');
  return plain === '' ? '_' : plain.slice(0, max);
}

/** The accepted form of `text` that `isTaken` does not hold yet; a suffix `_2`, `_3`… tells equal forms apart. */
export function freeForm(text: string, isTaken: (form: string) => boolean, max: number = MAX_LENGTH): string {
  const plain = accepted(text, max);
  let form = plain;
  for (let count = 2; isTaken(form); count++) {
    const suffix = `_${count}`;
    form = plain.slice(0, max - suffix.length) + suffix;
  }
  return form;
}

export function createWireNames(names: Iterable<string>): WireNames {
  const wireOf = new Map<string, string>();
  const nameOf = new Map<string, string>();
  const claim = (name: string, wire: string): void => {
    wireOf.set(name, wire);
    nameOf.set(wire, name);
  };
  const all = [...new Set(names)];
  // Names that are accepted as they are keep themselves, whatever another name would be turned into.
  const kept = all.filter((name) => ACCEPTED.test(name) && name.length <= MAX_LENGTH);
  for (const name of kept) claim(name, name);
  for (const name of all) {
    if (!wireOf.has(name)) {
      claim(
        name,
        freeForm(name, (wire) => nameOf.has(wire)),
      );
    }
  }
  return {
    toWire: (name) => wireOf.get(name) ?? accepted(name, MAX_LENGTH),
    fromWire: (wire) => nameOf.get(wire) ?? wire,
  };
}
