// Owns which tokens count here, and who holds them: those of identity.yaml, and those handed out with `tokens add` for
// this workspace. What another process adds or revokes is taken from the file as soon as it changed.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMs } from '../base/clock.ts';
import { EMPTY_TOKENS, tokenBook, tokenStatus } from '../config/token-book.ts';
import type { TokenBook, TokenRecord } from '../config/token-book.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Caller } from '../kernel/identity.ts';
import type { CallerOf } from '../runtime/configured-callers.ts';
import type { TokenEntry } from '../server/index.ts';
import { openDocument, readDocumentNow } from '../store/documents/document.ts';
import type { Document } from '../store/documents/document.ts';
import { assertStateOutside } from './context.ts';
import type { Context } from './context.ts';

function tokensPath({ stateDirectory }: Context): string {
  return join(stateDirectory, 'tokens.json');
}

export function openTokenBook(context: Context): Document<TokenBook> {
  assertStateOutside(context);
  return openDocument({ path: tokensPath(context), schema: tokenBook, empty: EMPTY_TOKENS });
}

function laneOf({ identity }: RuntimeConfig, tenant: string, principal: string): string {
  const listed = identity.principals.find((one) => one.tenant === tenant && one.id === principal);
  return listed?.lane ?? 'default';
}

function entryOf(config: RuntimeConfig, record: TokenRecord): TokenEntry {
  const { id, tenant, principal, roles, scopes, client = id, expires_at: until } = record;
  const lane = laneOf(config, tenant, principal);
  return {
    id,
    sha256: record.token_sha256,
    caller: { tenant, principal, actor: `http:${client}`, roles, scopes, lane },
    ...(until === undefined ? {} : { expiresAt: Date.parse(until) }),
  };
}

function configured({ identity }: RuntimeConfig): TokenEntry[] {
  return identity.principals.flatMap(({ id, tenant, roles, scopes, tokenSha256, lane = 'default' }) => {
    if (tokenSha256 === undefined) return [];
    const caller: Caller = { tenant, principal: id, actor: `http:${id}`, roles, scopes, lane };
    return [{ id: `identity.yaml:${tenant}/${id}`, sha256: tokenSha256, caller }];
  });
}

/** What tells one content of a file from the next; it is only ever replaced whole. */
function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? '' : `${found.ino}:${found.size}:${found.mtimeNs}`;
}

/** Who holds several tokens is, where no token is at hand, no more than each of them says. */
function common(lists: readonly (readonly string[])[]): string[] {
  return (lists[0] ?? []).filter((one) => lists.every((list) => list.includes(one)));
}

export interface KnownTokens {
  /** The same list until the file changes; some may have expired since. Throws STORE_CORRUPT. */
  list(): readonly TokenEntry[];
  /** Who a principal with a token is now, for work that goes on without a client. */
  callerOf: CallerOf;
  tenants(): string[];
}

/** What `list` says about `now`. */
function ownersOf(config: RuntimeConfig, list: KnownTokens['list'], now: () => EpochMs): KnownTokens {
  const good = (): Caller[] => {
    const at = now();
    return list()
      .filter(({ expiresAt }) => expiresAt === undefined || expiresAt > at)
      .map(({ caller }) => caller);
  };
  return {
    list,
    callerOf(tenant, principal) {
      const theirs = good().filter((one) => one.tenant === tenant && one.principal === principal);
      if (theirs.length === 0) return undefined;
      const roles = common(theirs.map((one) => one.roles));
      const scopes = common(theirs.map((one) => one.scopes));
      return { tenant, principal, actor: 'worker', roles, scopes, lane: laneOf(config, tenant, principal) };
    },
    tenants: () => [...new Set(good().map(({ tenant }) => tenant))],
  };
}

/** As they are at this moment, for work that must answer alike from beginning to end. Throws STORE_CORRUPT. */
export function tokensNow(context: Context, config: RuntimeConfig): KnownTokens {
  const now = context.clock.now();
  const entries = knownTokens(context, config).list();
  return ownersOf(
    config,
    () => entries,
    () => now,
  );
}

export function knownTokens(context: Context, config: RuntimeConfig): KnownTokens {
  const { clock, workspace } = context;
  const path = tokensPath(context);
  const fixed = configured(config);
  let stamp: string | undefined;
  let entries: readonly TokenEntry[] = [];

  function list(): readonly TokenEntry[] {
    const now = stampOf(path);
    if (now === stamp) return entries;
    const { tokens } = readDocumentNow(path, tokenBook) ?? EMPTY_TOKENS;
    const own = tokens.filter(
      (one) => one.workspace === workspace && tokenStatus(one, clock.now()) === 'good',
    );
    entries = [...fixed, ...own.map((one) => entryOf(config, one))];
    stamp = now;
    return entries;
  }

  return ownersOf(config, list, () => clock.now());
}
