// Owns `tokens`: hands out, lists and revokes the tokens of HTTP callers. A token is printed once, by the command that
// makes it, and can never be shown again.
import { createHash } from 'node:crypto';
import { isoTime } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import { names, plainId } from '../../config/shape.ts';
import { addToken, revokeToken, tokenStatus } from '../../config/token-book.ts';
import type { TokenRecord } from '../../config/token-book.ts';
import { base32 } from '../../base/ids.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { listTable } from '../print.ts';
import { openTokenBook } from '../known-tokens.ts';

export interface AddTokenOptions extends CommonOptions {
  principal: string;
  tenant: string;
  role: string[];
  scope: string[];
  client?: string;
  days?: number;
}

const DAY_MS = 86_400_000;

function checked(what: string, text: string): string {
  if (plainId.safeParse(text).success) return text;
  throw new RuntimeError('USAGE', `--${what} must be an id: letters, digits and . _ : @ / -, at most 128.`);
}

function recordOf(context: Context, options: AddTokenOptions, token: string): TokenRecord {
  const { clock, ids, workspace } = context;
  const { role, scope, client, days } = options;
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= 3650)) {
    throw new RuntimeError('USAGE', '--days must be a whole number from 1 to 3650.');
  }
  if (!names.safeParse(role).success || !names.safeParse(scope).success) {
    throw new RuntimeError('USAGE', '--role and --scope take ids, at most 100 of each.');
  }
  const now = clock.now();
  return {
    id: `tok_${base32(ids.bytes(16))}`,
    workspace,
    tenant: checked('tenant', options.tenant),
    principal: checked('principal', options.principal),
    roles: [...new Set(role)],
    scopes: [...new Set(scope)],
    ...(client === undefined ? {} : { client: checked('client', client) }),
    token_sha256: createHash('sha256').update(token).digest('hex'),
    created_at: isoTime(now),
    ...(days === undefined ? {} : { expires_at: isoTime(now + days * DAY_MS) }),
  };
}

/** What may be shown of a token: everything but what could be tried against it. */
function shown(record: TokenRecord, now: number): Record<string, unknown> {
  const { token_sha256: _hash, workspace: _workspace, ...rest } = record;
  return { ...rest, status: tokenStatus(record, now) };
}

export async function addTokenTo(context: Context, options: AddTokenOptions): Promise<Exit> {
  const token = `art_${Buffer.from(context.ids.bytes(32)).toString('base64url')}`;
  const record = recordOf(context, options, token);
  await openTokenBook(context).update((book) => addToken(book, record));
  context.print.remark(
    `Token ${record.id} of ${record.principal} in tenant ${record.tenant}. It is shown this once:`,
  );
  await context.print.result({ ...shown(record, context.clock.now()), token }, () => token);
  return EXIT.ok;
}

export async function listTokens(context: Context): Promise<Exit> {
  const now = context.clock.now();
  const { tokens } = await openTokenBook(context).read();
  const items = tokens
    .filter(({ workspace }) => workspace === context.workspace)
    .map((one) => shown(one, now));
  await context.print.result({ items }, async () =>
    items.length === 0
      ? 'No token was handed out for this workspace.'
      : listTable(
          ['id', 'status', 'principal', 'tenant', 'roles', 'scopes', 'client', 'created', 'expires'],
          items.map((one) => [
            one.id,
            one.status,
            one.principal,
            one.tenant,
            (one.roles as string[]).join(', '),
            (one.scopes as string[]).join(', '),
            one.client,
            one.created_at,
            one.expires_at,
          ]),
        ),
  );
  return EXIT.ok;
}

export async function revokeTokenOf(context: Context, id: string): Promise<Exit> {
  const { clock, workspace, print } = context;
  const book = await openTokenBook(context).update((current) =>
    revokeToken(current, { workspace, id }, clock.now()),
  );
  const record = book.tokens.find((one) => one.workspace === workspace && one.id === id);
  await print.result(record === undefined ? { id } : shown(record, clock.now()), () => `Revoked: ${id}`);
  return EXIT.ok;
}
