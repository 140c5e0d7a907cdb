import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createContext } from '../../src/cli/context.ts';
import { createPrinter } from '../../src/cli/print.ts';
import { callersOf } from '../../src/cli/callers.ts';
import { configuredTenants } from '../../src/runtime/configured-callers.ts';
import { knownTokens, openTokenBook, tokensNow } from '../../src/cli/known-tokens.ts';
import { tokenVerifier } from '../../src/cli/token-verifier.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { addToken, revokeToken } from '../../src/config/token-book.ts';
import type { TokenRecord } from '../../src/config/token-book.ts';
import { ask, initialize, modern, openSession } from '../http/rig.ts';
import { tokenEntry } from '../http/token-entry.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { environment, json, MAIN, place, run } from './harness.ts';
import type { Place } from './harness.ts';

interface Served {
  child: ChildProcessWithoutNullStreams;
  url: string;
  log: () => string;
  ended: Promise<number | null>;
}

async function serveHttp(at: Place): Promise<Served> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--http', '--port', '0'], {
    cwd: at.workspace,
    env: environment(at),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let log = '';
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      const found = /"url":"([^"]+)"/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then((code) => reject(new Error(`ended with ${String(code)}: ${log}`)));
  });
  return { child, url, log: () => log, ended };
}

interface Made {
  id: string;
  token: string;
}

async function makeToken(at: Place, ...flags: string[]): Promise<Made> {
  return (await json(at, ['tokens', 'add', '--principal', 'alice', ...flags])) as unknown as Made;
}

test('a token is shown once, kept as a digest outside the workspace, and never listed', async () => {
  const at = await place();
  const flags = [
    '--tenant',
    'acme',
    '--role',
    'operator',
    '--role',
    'manager',
    '--client',
    'ci',
    '--days',
    '7',
  ];
  const made = await makeToken(at, ...flags);
  expect(made).toMatchObject({
    principal: 'alice',
    tenant: 'acme',
    roles: ['operator', 'manager'],
    client: 'ci',
  });
  expect(made.token).toMatch(/^art_[\w-]{43}$/);
  const path = join(at.state, 'tokens.json');
  const kept = await readFile(path, 'utf8');
  expect(kept).not.toContain(made.token.slice(4));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const { token_sha256: hash } = (JSON.parse(kept) as { tokens: TokenRecord[] }).tokens[0]!;
  const { items = [] } = await json(at, ['tokens', 'list']);
  expect(items).toMatchObject([{ id: made.id, status: 'good' }]);
  const table = await run(at, ['tokens', 'list']);
  for (const said of [JSON.stringify(items), table.out]) {
    expect(said).not.toContain(hash);
    expect(said).not.toContain(made.token);
  }
  // Another workspace of the same person has none of it.
  const other = await run({ ...(await place()), state: at.state }, ['tokens', 'list']);
  expect(other.out).toContain('No token');
});

test('what is no token to make, and what is no token to revoke', async () => {
  const at = await place();
  for (const flags of [
    ['--principal', ' x'],
    ['--principal', 'a', '--days', '0'],
    ['--principal', 'a', '--role', ''],
    [],
  ]) {
    expect({ flags, code: (await run(at, ['tokens', 'add', ...flags])).code }).toEqual({ flags, code: 2 });
  }
  expect((await run(at, ['tokens', 'revoke', 'tok_none'])).code).toBe(4);
});

test('beyond loopback nothing starts without a token, and a port or path that is none neither', async () => {
  const at = await place();
  const open = await run(at, ['serve', '--http', '--host', '0.0.0.0', '--port', '0']);
  expect(open.code).toBe(2);
  expect(open.err).toContain('needs at least one token');
  for (const flags of [
    ['--port', '70000'],
    ['--port', 'x'],
    ['--path', 'mcp'],
    ['--path', '/a?b'],
  ]) {
    const refused = await run(at, ['serve', '--http', '--port', '0', ...flags]);
    expect({ flags, code: refused.code, url: refused.err.includes('"url"') }).toEqual({
      flags,
      code: 2,
      url: false,
    });
  }
});

test('where to serve over HTTP is not asked of a server on stdio, and a place that is taken is said to be', async () => {
  const at = await place();
  const misplaced = await run(at, ['serve', '--port', '0']);
  expect(misplaced.code).toBe(2);
  expect(misplaced.err).toContain('add --http');
  const { url } = await serveHttp(at);
  const taken = await run(at, ['serve', '--http', '--port', new URL(url).port]);
  expect(taken.code).toBe(2);
  expect(taken.err).toContain('something else listens there; choose another port');
});

test('tokens count and end while the server runs; calls carry who made them; a signal ends it in order', async () => {
  const at = await place();
  const served = await serveHttp(at);
  expect((await ask(served, { token: 'x', body: initialize() })).status).toBe(401);
  const { id, token } = await makeToken(at, '--role', 'operator');
  const session = await openSession(served, token);
  const messages = [{ role: 'user', content: 'hello' }];
  const turn = await ask(served, {
    ...modern('tools/call', { name: 'agent:execute-turn', arguments: { messages } }),
    token,
  });
  expect(turn.body.result).toMatchObject({
    structuredContent: { session_id: expect.stringMatching(/^ses_/) as string },
  });
  const { session_id } = (turn.body.result as { structuredContent: { session_id: string } })
    .structuredContent;
  const inspect = { name: 'agent:inspect', arguments: { kind: 'session', id: session_id } };
  const seen = await ask(served, { ...modern('tools/call', inspect), token });
  expect(JSON.stringify(seen.body)).toContain(`http:${id}`);
  expect(JSON.stringify(seen.body)).toContain('alice');

  expect((await run(at, ['tokens', 'revoke', id])).code).toBe(0);
  expect((await ask(served, { token, sessionId: session, body: initialize() })).status).toBe(401);
  served.child.kill('SIGTERM');
  expect(await served.ended).toBe(0);
  expect(served.log()).toContain('there is no token yet');
  expect(served.log()).toContain('stopping');
  // One before there was a token, one after it was revoked.
  expect(served.log()).toContain('"updates":0,"refused":2');
  expect(served.log()).not.toContain(token);
  const evidence = await run(at, ['sessions', 'show', session_id, '--json']);
  expect(evidence.out).not.toContain(token);
}, 60_000);

describe('who counts', () => {
  async function opened(): Promise<{ at: Place; context: ReturnType<typeof createContext> }> {
    const at = await place();
    const printer = createPrinter({
      json: false,
      color: false,
      write: () => Promise.resolve(),
      writeError: () => undefined,
    });
    const context = createContext({ workspace: at.workspace }, { AGENT_RUNTIME_STATE: at.state }, printer);
    return { at, context };
  }

  const record = (over: Partial<TokenRecord>, workspace: string): TokenRecord => ({
    id: 'tok_1',
    workspace,
    tenant: 'acme',
    principal: 'alice',
    roles: ['operator', 'reader'],
    scopes: ['tickets'],
    token_sha256: tokenEntry('', 'secret-1', {} as never).sha256,
    created_at: '2026-11-21T00:00:00.000Z',
    ...over,
  });

  test('identity.yaml and the book together; lane from identity.yaml; only here, only while good', async () => {
    const { at, context } = await opened();
    const sha = (text: string): string => tokenEntry('', text, {} as never).sha256;
    const principals = [
      { id: 'alice', tenant: 'acme', roles: ['reader'], scopes: [], lane: 'fast', tokenSha256: sha('fixed') },
      { id: 'bob', tenant: 'acme', roles: [], scopes: [] },
    ];
    const base = sampleConfig();
    const config = { ...base, identity: { ...base.identity, principals } };
    const book = openTokenBook(context);
    const more = [
      record({}, at.workspace),
      record({ id: 'tok_2', token_sha256: sha('elsewhere') }, '/elsewhere'),
      record({ id: 'tok_3', token_sha256: sha('old'), expires_at: '2020-01-01T00:00:00.000Z' }, at.workspace),
      record({ id: 'tok_4', token_sha256: sha('bobs'), principal: 'bob', client: 'ci' }, at.workspace),
    ];
    for (const one of more) await book.update((now) => addToken(now, one));
    const known = knownTokens(context, config);
    const tokens = tokenVerifier(known, context);
    expect(tokens.verify('fixed')).toMatchObject({
      id: 'identity.yaml:acme/alice',
      caller: { principal: 'alice', actor: 'http:alice', roles: ['reader'], lane: 'fast' },
    });
    expect(tokens.verify('secret-1')).toMatchObject({
      id: 'tok_1',
      caller: { actor: 'http:tok_1', roles: ['operator', 'reader'], scopes: ['tickets'], lane: 'fast' },
    });
    expect(tokens.verify('bobs')).toMatchObject({
      caller: { principal: 'bob', actor: 'http:ci', lane: 'default' },
    });
    for (const not of ['elsewhere', 'old', 'nobodys']) expect(tokens.verify(not)).toBeUndefined();
    // Without a token at hand, what all of a principal's tokens agree on.
    expect(known.callerOf('acme', 'alice')).toMatchObject({
      actor: 'worker',
      roles: ['reader'],
      scopes: [],
    });
    expect(known.callerOf('other', 'alice')).toBeUndefined();

    await book.update((now) => revokeToken(now, { workspace: at.workspace, id: 'tok_1' }, 1));
    expect(tokens.holds('tok_1')).toBe(true);
    await tokens.refresh();
    expect([tokens.holds('tok_1'), tokens.verify('secret-1')]).toEqual([false, undefined]);
    expect(known.callerOf('acme', 'alice')).toMatchObject({ roles: ['reader'] });
  });

  test('work without a client knows the owners of tokens from the file as it is, for as long as they count', async () => {
    const { at, context } = await opened();
    const clock = createFakeClock(Date.parse('2026-11-22T00:00:00.000Z'));
    const { callerOf, tenants } = callersOf({ ...context, clock }, sampleConfig());
    const [mine] = tenants();
    expect(callerOf('acme', 'alice')).toBeUndefined();
    const book = openTokenBook(context);
    const until = { expires_at: '2026-11-22T00:01:00.000Z' };
    await book.update((now) => addToken(now, record(until, at.workspace)));
    expect(callerOf('acme', 'alice')).toMatchObject({ actor: 'worker', roles: ['operator', 'reader'] });
    expect(tenants()).toEqual([mine, 'acme']);
    clock.advance(60_000);
    expect([callerOf('acme', 'alice'), tenants()]).toEqual([undefined, [mine]]);
    await book.update((now) => addToken(now, record({ id: 'tok_2' }, at.workspace)));
    expect(callerOf('acme', 'alice')).toBeDefined();
    await book.update((now) => revokeToken(now, { workspace: at.workspace, id: 'tok_2' }, 1));
    expect(callerOf('acme', 'alice')).toBeUndefined();
  });

  test('who is asked about the owners of this moment gets one answer, whatever becomes of the file', async () => {
    const { at, context } = await opened();
    const clock = createFakeClock(Date.parse('2026-11-22T00:00:00.000Z'));
    const until = { expires_at: '2026-11-22T00:01:00.000Z' };
    await openTokenBook(context).update((now) => addToken(now, record(until, at.workspace)));
    const { callerOf } = tokensNow({ ...context, clock }, sampleConfig());
    clock.advance(60_000);
    await writeFile(join(at.state, 'tokens.json'), 'no book');
    expect(callerOf('acme', 'alice')).toMatchObject({ roles: ['operator', 'reader'] });
    expect(() => tokensNow(context, sampleConfig())).toThrow(
      expect.objectContaining({ code: 'STORE_CORRUPT' }),
    );
  });

  test('a book that cannot be read stops the start, and is kept', async () => {
    const { at, context } = await opened();
    await openTokenBook(context).update((now) => now);
    await writeFile(join(at.state, 'tokens.json'), '{"schema_version":1,"tokens":[{}]}');
    const known = knownTokens(context, sampleConfig());
    expect(() => tokenVerifier(known, context)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }));
    expect(() => known.callerOf('acme', 'alice')).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }));
    const logged: string[] = [];
    const log = (_level: string, message: string): void => void logged.push(message);
    const { tenants } = callersOf(context, sampleConfig(), { tokens: known, log });
    expect(tenants()).toEqual(configuredTenants(sampleConfig()));
    expect(logged).toEqual(['only the tenants of identity.yaml are seen to']);
    expect(await readFile(join(at.state, 'tokens.json'), 'utf8')).toContain('[{}]');
  });
});
