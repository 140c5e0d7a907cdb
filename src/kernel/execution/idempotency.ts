// Owns idempotency reservations: which key a call has, what an earlier use of it means, and the row that reserves it.
// A reservation is made in the start commit and settled in the outcome commit; it lives for 24 hours.
import { digestJson, sha256 } from '../../base/digest.ts';
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Capability } from '../../config/types.ts';
import type { RowWrite, Store, StoredRow } from '../../store/contract.ts';

const LIFE_MS = 24 * 60 * 60 * 1000;

export type ReservationState = 'in_progress' | 'succeeded' | 'retryable_failure' | 'side_effect_unknown';

export interface Reservation {
  tenant: string;
  principal: string;
  id: string;
  /** What the key stands for; the same key with another digest is a conflict. */
  digest: string;
}

export type Earlier =
  | { kind: 'execute'; version: number | undefined }
  | { kind: 'replay'; session: string; seq: number; callId: string }
  | { kind: 'wait'; instance: string; session: string; callId: string; version: number }
  | { kind: 'conflict' }
  | { kind: 'reconcile' };

export interface KeyedCall {
  capability: Capability;
  args: JsonObject;
  tenant: string;
  principal: string;
  /** From `_meta`. */
  metaKey: string | undefined;
  actionDigest: string;
}

function keyOf(call: KeyedCall): { key: string; args: JsonObject } | undefined {
  const { idempotency } = call.capability;
  const name = idempotency.argument;
  if (name !== undefined && typeof call.args[name] === 'string' && call.args[name] !== '') {
    const rest = { ...call.args };
    const key = call.args[name];
    Reflect.deleteProperty(rest, name);
    return { key: `arg:${key}`, args: rest };
  }
  if (call.metaKey !== undefined) return { key: `meta:${call.metaKey}`, args: call.args };
  return idempotency.keyRequired ? { key: `action:${call.actionDigest}`, args: call.args } : undefined;
}

/** The reservation a call needs, or undefined when it needs none. */
export function reservationOf(call: KeyedCall): Reservation | undefined {
  const keyed = keyOf(call);
  if (keyed === undefined) return undefined;
  const { tenant, principal } = call;
  return {
    tenant,
    principal,
    id: sha256(`${tenant}\n${call.capability.id}\n${keyed.key}`),
    digest: digestJson({
      arguments: keyed.args,
      capability: call.capability.id,
      principal_id: principal,
      tenant_id: tenant,
    }),
  };
}

interface ReservedBody {
  digest: string;
  expires_at: EpochMs;
  session: string;
  seq: number;
  call_id: string;
  instance: string;
}

function judge(row: StoredRow, reservation: Reservation, now: EpochMs): Earlier {
  const body = row.body as unknown as ReservedBody;
  if (now >= body.expires_at) return { kind: 'execute', version: row.version };
  if (body.digest !== reservation.digest) return { kind: 'conflict' };
  switch (row.status as ReservationState) {
    case 'succeeded':
      return { kind: 'replay', session: body.session, seq: body.seq, callId: body.call_id };
    case 'in_progress':
      return {
        kind: 'wait',
        instance: body.instance,
        session: body.session,
        callId: body.call_id,
        version: row.version,
      };
    case 'retryable_failure':
      return { kind: 'execute', version: row.version };
    case 'side_effect_unknown':
      return { kind: 'reconcile' };
  }
}

/** What an earlier use of this key means for this call. */
export async function earlierUse(store: Store, reservation: Reservation, now: EpochMs): Promise<Earlier> {
  const row = await store.row('idempotency', reservation.tenant, reservation.id);
  return row === undefined ? { kind: 'execute', version: undefined } : judge(row, reservation, now);
}

/** The row write for the start or the outcome commit. */
export function reservationRow(
  reservation: Reservation,
  state: ReservationState,
  at: { now: EpochMs; session: string; seq: number; callId: string; instance: string },
  when: RowWrite['when'] = 'any',
): RowWrite {
  return {
    row: {
      kind: 'idempotency',
      tenant: reservation.tenant,
      id: reservation.id,
      principal: reservation.principal,
      status: state,
      updatedAt: at.now,
      body: {
        digest: reservation.digest,
        expires_at: at.now + LIFE_MS,
        session: at.session,
        seq: at.seq,
        call_id: at.callId,
        instance: at.instance,
      },
    },
    when,
  };
}
