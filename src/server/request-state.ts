// Owns what travels through a modern client between asking for an approval and its retry: signed, expiring, bound to
// tenant, principal, actor and method, and good for one answer. The SDK's codec signs; two keys are accepted, for rotation.
import { createRequestStateCodec } from '@modelcontextprotocol/server';
import type { ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { parseWith } from '../base/parse.ts';
import type { Caller } from '../kernel/identity.ts';

/** What is kept about questions of a server: which call they hold up, and which question was shown under which key. */
export interface InputState {
  inputs: { key: string; id: string }[];
  call_digest: string;
  tool_call_id: string;
  nonce: string;
  shown_at: number;
}

export interface AskedState {
  approval_id: string;
  /** Of what the person was shown. */
  action_digest: string;
  /** Of the tool and arguments of the request that asked; a retry with others is another call. */
  call_digest: string;
  tool_call_id: string;
  nonce: string;
  shown_at: number;
}

const askedState: z.ZodType<AskedState> = z.strictObject({
  approval_id: z.string(),
  action_digest: z.string(),
  call_digest: z.string(),
  tool_call_id: z.string(),
  nonce: z.string(),
  shown_at: z.number(),
});

const inputState: z.ZodType<InputState> = z.strictObject({
  inputs: z.array(z.strictObject({ key: z.string(), id: z.string() })),
  call_digest: z.string(),
  tool_call_id: z.string(),
  nonce: z.string(),
  shown_at: z.number(),
});

export type GateState = AskedState | InputState;

const gateState: z.ZodType<GateState> = z.union([askedState, inputState]);

/** Signing keys of at least 32 bytes. States signed with `previous` are still accepted. */
export interface StateKeys {
  current: Uint8Array;
  previous?: Uint8Array;
}

export const STATE_LIFETIME_MS = 600_000;

export interface RequestStates {
  mint(state: GateState, ctx: ServerContext): Promise<string>;
  /** The payload as it was minted; throws for anything else. */
  verify(text: string, ctx: ServerContext): Promise<GateState>;
  /** True the first time only. */
  spend(state: { nonce: string }): boolean;
}

export function createRequestStates(keys: StateKeys, caller: Caller, clock: Clock): RequestStates {
  const bind = (ctx: ServerContext): string =>
    JSON.stringify([caller.tenant, caller.principal, caller.actor, ctx.mcpReq.method]);
  const codecOf = (key: Uint8Array): ReturnType<typeof createRequestStateCodec> =>
    createRequestStateCodec({ key, bind, ttlSeconds: STATE_LIFETIME_MS / 1000 });
  const current = codecOf(keys.current);
  const previous = keys.previous === undefined ? undefined : codecOf(keys.previous);
  // Lost with the process; a replay then meets an approval that is no longer pending, which no answer moves.
  const spent = new Map<string, number>();
  return {
    mint: (state, ctx) => current.mint(state, ctx),
    async verify(text, ctx) {
      const payload = await current.verify(text, ctx).catch((refusal: unknown) => {
        if (previous === undefined) throw refusal;
        return previous.verify(text, ctx);
      });
      return parseWith(gateState, payload);
    },
    spend(state) {
      const now = clock.now();
      for (const [nonce, until] of spent) if (until < now) spent.delete(nonce);
      if (spent.has(state.nonce)) return false;
      // Twice the lifetime: the codec's clock and ours need not agree to the second.
      spent.set(state.nonce, now + 2 * STATE_LIFETIME_MS);
      return true;
    },
  };
}
