import { test } from 'vitest';
import type { RequirementId } from './requirements.ts';

/** What a test proves in full, or `{ partial }`: what it shows only a part of. Ids stand as literals. */
export type Cited = readonly RequirementId[] | { readonly partial: readonly RequirementId[] };

/** A test that cites the requirements it proves; the ids become the end of its name. */
export function verifies(cited: Cited, name: string, fn: () => void | Promise<void>, timeout?: number): void {
  const ids = 'partial' in cited ? cited.partial : cited;
  test(`${name} [${ids.join(', ')}]`, fn, timeout);
}
