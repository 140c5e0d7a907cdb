import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { CLIENT_KINDS } from '../server/clients.ts';
import type { Elicit } from '../server/clients.ts';
import { ALICE, BOB_TOKEN, client, serve, until } from './rig.ts';

const APPROVE: Elicit = () => Promise.resolve({ action: 'accept', content: { decision: 'approve' } });
const REJECT: Elicit = () => Promise.resolve({ action: 'accept', content: { decision: 'reject' } });

describe.each(CLIENT_KINDS)('%s over HTTP', (kind) => {
  test('lists tools, takes a turn, reads and asks for prompts', async () => {
    const at = await serve();
    const own = await client(kind, at);
    expect((await own.list()).tools.map(({ name }) => name)).toContain('files:read');
    const turn = await own.call('agent:execute-turn', { messages: [{ role: 'user', content: 'hello' }] });
    expect(turn.structuredContent).toMatchObject({ status: 'reply', assistant_message: 'Hello.' });
    expect(JSON.parse(await own.read('agent://health'))).toMatchObject({ status: 'ok' });
    expect(await own.prompts()).toContain('review-approvals');
    expect(own.instructions()).toContain('policy gate');
  });

  test('a call that needs a person is asked by form, and runs once when approved', async () => {
    const at = await serve();
    let asked = '';
    const elicit: Elicit = (params) => {
      asked = params.message;
      return APPROVE(params);
    };
    const own = await client(kind, at, { elicit });
    const answer = await own.call('files:write', { path: 'a' });
    expect(answer.structuredContent).toEqual({ ok: true });
    expect(asked).toContain('Approve this call?');
    expect(at.runtime.effects).toHaveLength(1);
    expect(at.runtime.deliveries).toMatchObject([
      {
        delivery: { kind: 'answered', decision: 'approve' },
        answerer: { attestation: 'client' },
        actor: ALICE.actor,
      },
    ]);
  });

  test('a rejected call has no effect', async () => {
    const at = await serve();
    const own = await client(kind, at, { elicit: REJECT });
    expect((await own.call('files:write', { path: 'a' })).isError).toBe(true);
    expect(at.runtime.effects).toEqual([]);
  });

  test('a client that cannot be asked gets the approval and where to answer it', async () => {
    const at = await serve();
    const own = await client(kind, at);
    const answer = await own.call('files:write', { path: 'a' });
    expect(answer._meta?.['agent-runtime/call']).toMatchObject({ status: 'approval_required' });
    expect(at.runtime.effects).toEqual([]);
  });

  test('progress arrives before the answer', async () => {
    const at = await serve();
    at.runtime.during = (io) => {
      io.progress?.({ progress: 1, total: 2, message: 'half' });
      return Promise.resolve();
    };
    const seen: unknown[] = [];
    const own = await client(kind, at);
    const onprogress = (progress: object): void => void seen.push(progress);
    await own.call('files:read', {}, { onprogress });
    expect(seen).toMatchObject([{ progress: 1, total: 2, message: 'half' }]);
  });

  test('a call that its client gives up ends with its signal', async () => {
    const at = await serve();
    const begun = new AbortController();
    const ended = new Promise<void>((resolve) => {
      at.runtime.during = (io) =>
        new Promise((_, reject) => {
          io.signal.addEventListener('abort', () => {
            resolve();
            reject(new RuntimeError('CANCELED'));
          });
          begun.abort();
        });
    });
    const own = await client(kind, at);
    const given = new AbortController();
    const call = own.call('files:read', {}, { signal: given.signal });
    begun.signal.addEventListener('abort', () => given.abort());
    await expect(call).rejects.toThrow();
    await ended;
  });

  test('many calls at a time are all answered', async () => {
    const at = await serve();
    const own = await client(kind, at);
    const answers = await Promise.all(Array.from({ length: 8 }, () => own.call('files:read', {})));
    for (const answer of answers) expect(answer.structuredContent).toEqual({ ok: true });
  });

  test('a changed tool list is announced and read again', async () => {
    const at = await serve();
    let told = (): void => undefined;
    const changed = new Promise<void>((resolve) => {
      told = resolve;
    });
    const own = await client(kind, at, { onToolsChanged: () => told() });
    expect((await own.list()).tools.map(({ name }) => name)).toContain('files:read');
    await until(() => at.server.counts.streams === 1);
    at.runtime.changeTools([]);
    await changed;
    expect((await own.list()).tools.map(({ name }) => name)).not.toContain('files:read');
  });

  test('a token that is not known gets nowhere', async () => {
    const at = await serve();
    await expect(client(kind, at, { token: 'nobody-0123456789' })).rejects.toThrow();
    const bob = await client(kind, at, { token: BOB_TOKEN });
    expect((await bob.list()).tools.length).toBeGreaterThan(0);
  });
});
