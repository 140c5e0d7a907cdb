// Owns what a model call costs: from a price table, in whole micro-dollars, rounded up so that no call is free.
import type { RuntimeSettings } from '../../config/types.ts';

export type PriceTable = RuntimeSettings['prices'];

/** A dollar per million tokens is a micro-dollar per token; six decimals of a price are picodollars, kept as integers. */
const PICO_PER_MICRO = 1_000_000n;

function picos(tokens: number, perMillionUsd: number): bigint {
  const price = BigInt(Math.round(perMillionUsd * 1_000_000)); // picodollars per token
  return BigInt(Math.ceil(tokens)) * price;
}

function isUsable(value: number): boolean {
  return Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

/**
 * Micro-dollars of a call, or undefined when the model has no price: an unknown price is not a price of zero.
 * Also undefined for a count or price that is no finite number.
 */
export function priceMicroUsd(
  prices: PriceTable,
  model: string,
  tokens: { input: number; output: number },
): number | undefined {
  if (!Object.hasOwn(prices, model)) return undefined;
  const price = prices[model];
  if (price === undefined) return undefined;
  const numbers = [tokens.input, tokens.output, price.inputPerMillionUsd, price.outputPerMillionUsd];
  if (!numbers.every(isUsable)) return undefined;
  const total =
    picos(tokens.input, price.inputPerMillionUsd) + picos(tokens.output, price.outputPerMillionUsd);
  return Number((total + PICO_PER_MICRO - 1n) / PICO_PER_MICRO);
}

/**
 * The most a call can use, for the reservation before it: every byte of the request one token, the whole permitted
 * output, once for each attempt. A tokenizer gives at most one token a byte.
 */
export function reservationBound(
  prices: PriceTable,
  model: string,
  call: { inputBytes: number; maxOutputTokens: number; attempts: number },
): { tokens: number; microUsd: number | undefined } {
  const input = call.inputBytes * call.attempts;
  const output = call.maxOutputTokens * call.attempts;
  return { tokens: input + output, microUsd: priceMicroUsd(prices, model, { input, output }) };
}
