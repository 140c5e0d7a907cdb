// The types of citations.mjs, for tests in TypeScript.
export interface Citations {
  proved: Set<string>;
  partial: Set<string>;
  faults: string[];
}

export function readCitations(folder: string, ids: Iterable<string>): Citations;
