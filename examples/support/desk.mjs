// Owns what the support desk really did: the tickets in its own database, which only its server writes.
import { existsSync } from 'node:fs';
import Database from 'libsql';

/** Titles, oldest first. */
export function ticketsIn(file) {
  if (!existsSync(file)) return [];
  const database = new Database(file, { readonly: true });
  try {
    return database
      .prepare('SELECT title FROM tickets ORDER BY number')
      .all()
      .map(({ title }) => title);
  } finally {
    database.close();
  }
}
