// Owns the support desk's data: documents to look up and tickets that are opened, in one SQLite file.
// A ticket is a row per call, on purpose: that a repeated call opens no second one is for the caller's runtime to see to.
import Database from 'libsql';
import { isoTime, systemClock } from '../../base/clock.ts';

export interface DocumentSummary {
  id: string;
  title: string;
  snippet: string;
}

export interface SupportDocument {
  id: string;
  title: string;
  body: string;
}

export interface Ticket {
  id: string;
  title: string;
  body: string;
  priority: string;
  status: string;
}

export interface Desk {
  search(query: string, limit: number): DocumentSummary[];
  read(id: string): SupportDocument | undefined;
  open(ticket: Omit<Ticket, 'id' | 'status'> & { idempotencyKey?: string }): Ticket;
  ticket(id: string): Ticket | undefined;
  close(): void;
}

const DOCUMENTS: readonly [id: string, title: string, body: string][] = [
  [
    'password-reset',
    'Resetting a password',
    'Choose "Forgot password" on the sign-in page. The mail arrives within ten minutes and its link works once, for one hour. If no mail arrives, check the spam folder and the address on file.',
  ],
  [
    'account-locked',
    'A locked account',
    'Five wrong passwords lock an account for thirty minutes. Support can unlock it after the customer has proven who they are with the last invoice number.',
  ],
  [
    'invoice-copy',
    'Getting a copy of an invoice',
    'Invoices of the last twenty-four months are under Billing, Invoices. Older ones are sent by the billing team on request, usually within two working days.',
  ],
  [
    'refund-policy',
    'Refunds',
    'A yearly plan can be refunded within thirty days of payment, a monthly plan within seven. Refunds go back to the card that paid and take up to ten days. Refunds above 500 need a manager.',
  ],
  [
    'two-factor',
    'Two-factor sign-in',
    'Two-factor sign-in uses an authenticator app. Ten recovery codes are shown once at set-up. Without app and codes, identity has to be proven before support may switch it off.',
  ],
  [
    'data-export',
    'Exporting data',
    'An owner can export all data under Settings, Export. The file is ready within an hour and can be downloaded for seven days.',
  ],
  [
    'cancel-plan',
    'Canceling a plan',
    'A plan is canceled under Billing, Plan. It stays usable until the end of the paid period; data is kept for ninety days after that.',
  ],
  [
    'escalation',
    'When to open a ticket',
    'Open a ticket when the documents do not answer the question, when a mail does not arrive after two tries, or when money or access is at stake. Say what was tried and when.',
  ],
];

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    priority TEXT NOT NULL,
    status TEXT NOT NULL,
    idempotency_key TEXT,
    created_at TEXT NOT NULL
  );`;

interface TicketRow {
  number: number;
  title: string;
  body: string;
  priority: string;
  status: string;
}

function ticketOf({ number, title, body, priority, status }: TicketRow): Ticket {
  return { id: `TICKET-${String(number).padStart(4, '0')}`, title, body, priority, status };
}

function numberOf(id: string): number {
  return Number(/^TICKET-(\d{4,12})$/.exec(id)?.[1] ?? -1);
}

/** How many of the words a document holds, its title counting twice. */
function score(document: SupportDocument, words: readonly string[]): number {
  const title = document.title.toLowerCase();
  const body = document.body.toLowerCase();
  return words.reduce((sum, word) => sum + (title.includes(word) ? 2 : 0) + (body.includes(word) ? 1 : 0), 0);
}

/** Opens the file and puts the documents into it where they are missing. */
export function openDesk(file: string): Desk {
  const db = new Database(file, { timeout: 5000 });
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(SCHEMA);
  const seed = db.prepare('INSERT OR IGNORE INTO documents (id, title, body) VALUES (?, ?, ?)');
  for (const document of DOCUMENTS) seed.run(...document);
  const insert = db.prepare(
    `INSERT INTO tickets (title, body, priority, status, idempotency_key, created_at)
     VALUES (?, ?, ?, 'open', ?, ?)`,
  );
  const byNumber = db.prepare('SELECT number, title, body, priority, status FROM tickets WHERE number = ?');
  const byId = db.prepare('SELECT id, title, body FROM documents WHERE id = ?');
  const all = db.prepare('SELECT id, title, body FROM documents ORDER BY id');
  const ticket = (number: number): Ticket | undefined => {
    const row = byNumber.get(number) as TicketRow | undefined;
    return row === undefined ? undefined : ticketOf(row);
  };
  return {
    search(query, limit) {
      const words = query.toLowerCase().split(/\W+/).filter(Boolean).slice(0, 20);
      return (all.all() as SupportDocument[])
        .map((document) => ({ document, points: score(document, words) }))
        .filter(({ points }) => points > 0)
        .sort((a, b) => b.points - a.points || (a.document.id < b.document.id ? -1 : 1))
        .slice(0, limit)
        .map(({ document: { id, title, body } }) => ({ id, title, snippet: `${body.slice(0, 80)}…` }));
    },
    read(id) {
      const found = byId.get(id) as SupportDocument | undefined;
      // The engine adds a field of its own to what it reads.
      return found === undefined ? undefined : { id: found.id, title: found.title, body: found.body };
    },
    open({ title, body, priority, idempotencyKey }) {
      const { lastInsertRowid } = insert.run(
        title,
        body,
        priority,
        idempotencyKey ?? null,
        isoTime(systemClock.now()),
      );
      return ticketOf({ number: Number(lastInsertRowid), title, body, priority, status: 'open' });
    },
    ticket: (id) => ticket(numberOf(id)),
    close: () => void db.close(),
  };
}
