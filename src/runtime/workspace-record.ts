// Owns the records that belong to the workspace and to no session: one chain, of the tenant whose workspace it is.
import type { Clock } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import type { CapabilityRecord } from '../capabilities/records.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import type { Store } from '../store/contract.ts';

/** Rejects with STORE_UNAVAILABLE when it could not be recorded. */
export type WorkspaceRecord = (type: CapabilityRecord, evidence: JsonObject) => Promise<void>;

export function workspaceRecorder(parts: {
  store: Store;
  clock: Clock;
  tenant: string;
  redactor: Redactor;
}): WorkspaceRecord {
  const { store, clock, tenant, redactor } = parts;
  return async (type, evidence) => {
    const written = await store.commit({
      appends: [
        {
          chain: { tenant, aggregate: 'workspace', id: 'workspace' },
          when: { epoch: 0 },
          type,
          at: clock.now(),
          evidence: redactor.object(evidence).value,
        },
      ],
    });
    if (!written.ok) throw new RuntimeError('STORE_UNAVAILABLE');
  };
}
