// Owns snapshots: one per chain, the newest, sealed with the tenant's key because a folded state may hold exact payloads.
// A snapshot is a cache: whatever is wrong with one, there is none.
import { canonicalJson } from '../../base/json.ts';
import type { JsonValue } from '../../base/json.ts';
import type { ChainKey } from '../contract.ts';
import { placeOf, sealFor, unseal } from '../sealing.ts';
import type { SealingTools } from '../sealing.ts';
import type { Chains } from './chains.ts';
import { asBytes } from './connection.ts';
import type { Connection } from './connection.ts';

export interface Snapshot {
  seq: number;
  hash: string;
  state: JsonValue;
}

export interface Snapshots {
  find(chain: ChainKey): Snapshot | undefined;
  save(chain: ChainKey, snapshot: Snapshot): void;
  remove(chain: ChainKey): void;
}

export function createSnapshots(db: Connection, chains: Chains, tools: SealingTools): Snapshots {
  const find = db.prepare('SELECT seq, hash, state FROM snapshots WHERE cid = ?');
  const upsert = db.prepare(
    `INSERT INTO snapshots (cid, seq, hash, state) VALUES (?, ?, ?, ?)
     ON CONFLICT (cid) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, state = excluded.state
     WHERE excluded.seq >= snapshots.seq`,
  );
  const remove = db.prepare('DELETE FROM snapshots WHERE cid = ?');

  return {
    find(chain) {
      const found = find.get([chains.end(chain)?.handle ?? 0]) as (Snapshot & { state: unknown }) | undefined;
      const key = found && tools.keys.sealingKey(chain.tenant);
      const sealed = asBytes(found?.state);
      if (found === undefined || key === undefined || !(sealed instanceof Uint8Array)) return undefined;
      const plain = unseal(key, placeOf(chain, found.seq, 'snapshot'), sealed);
      if (plain === undefined) return undefined;
      return { seq: found.seq, hash: found.hash, state: JSON.parse(plain.text) as JsonValue };
    },
    save(chain, { seq, hash, state }) {
      const end = chains.end(chain);
      if (end === undefined) return; // nothing to cache
      const salt = Buffer.from(tools.ids.bytes(16)).toString('hex');
      const place = placeOf(chain, seq, 'snapshot');
      const sealed = sealFor(tools, chain.tenant, place, { salt, text: canonicalJson(state) });
      upsert.run([end.handle, seq, hash, sealed]);
    },
    remove(chain) {
      const end = chains.end(chain);
      if (end !== undefined) remove.run([end.handle]);
    },
  };
}
