// The floor of a resume: what one chain holds, by one prepared select from the product's own file, and parsed.
import Database from 'libsql';

export function openRead(path) {
  const db = new Database(path, { readonly: true });
  const records = db.prepare(
    `SELECT records.* FROM records JOIN chains ON records.cid = chains.cid
     WHERE chains.tenant = ? AND chains.aggregate = ? AND chains.id = ? ORDER BY records.seq`,
  );
  return {
    read: ({ tenant, aggregate, id }) =>
      records.all([tenant, aggregate, id]).map(({ header, evidence, sealed }) => ({
        header: JSON.parse(header),
        evidence: JSON.parse(evidence),
        sealed,
      })),
    close: () => db.close(),
  };
}
