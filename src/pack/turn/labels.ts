// Owns the labels that a caller gives a turn: they name and decide nothing, and stand in records as they are given.
import type { KernelPort } from '../kernel-port.ts';
import type { TurnInput } from './contract.ts';

/** The input with what is a known secret taken out of its labels. A configured intent has none. */
export function withShownLabels(kernel: Pick<KernelPort, 'redact'>, input: TurnInput): TurnInput {
  const { external_run_id: run, intent, intent_catalog: catalog } = input;
  if (run === undefined && intent === undefined && catalog === undefined) return input;
  const plain = (label: string): string => kernel.redact({ label }).value.label as string;
  const shown = { ...input };
  if (run !== undefined) shown.external_run_id = plain(run);
  if (intent !== undefined) shown.intent = plain(intent);
  if (catalog !== undefined) shown.intent_catalog = catalog.map((one) => ({ ...one, id: plain(one.id) }));
  return shown;
}
