// Owns the name of a row among rows of every kind, for maps.
import type { RowKind } from '../contract.ts';

const NAME_END = '\0'; // no name holds it

export const rowKey = (kind: RowKind, tenant: string, id: string): string =>
  kind + NAME_END + tenant + NAME_END + id;
