// Owns what an approval is bound to: the digest of exactly what will run, and the digest that is spent.
import { digestJson } from '../../base/digest.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Delegation } from '../identity.ts';

export interface Action {
  tenant: string;
  principal: string;
  actor: string;
  agent: string;
  /** `revoked`: its grant is gone; nobody's earlier word is for that. */
  delegation: Delegation & { revoked?: true };
  /** Of a session that follows others by itself, the first of their line. */
  session: string;
  tool: string;
  args: JsonObject;
  /** As the caller gave it; part of what the tool is sent. */
  idempotencyKey?: string;
  pin: string;
  policy: string;
}

/** SHA-256 over the RFC 8785 form of everything that decides what happens. */
export function actionDigest(action: Action): string {
  return digestJson({ ...action, delegation: { ...action.delegation } });
}

/** What is consumed: the action, this one approval, and its expiry. */
export function bindingDigest(action: string, approvalId: string, useBy: EpochMs): string {
  return digestJson({ action, approval: approvalId, use_by: useBy });
}
