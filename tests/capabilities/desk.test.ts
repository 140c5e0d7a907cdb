// The support desk of the bundled example, through our own door.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { freshSignal, script, server, withBench } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

async function withDesk(run: (bench: Bench) => Promise<void>): Promise<void> {
  await withBench([], async ({ directory }) => {
    const desk = server('desk', [script('desk'), '--db', join(directory, 'desk.db')], { era: 'auto' });
    await withBench([desk], run);
  });
}

function structured(result: ExecutionResult): unknown {
  return result.kind === 'result' ? result.structured : result;
}

test('documents are found, best first, with progress, and read', async () => {
  await withDesk(async ({ call }) => {
    const seen: string[] = [];
    const found = await call(
      'desk:search_docs',
      { query: 'password reset', limit: 2 },
      { progress: ({ message }) => seen.push(message ?? '') },
    );
    expect(seen).toEqual(['searching', '2 found']);
    const { documents } = structured(found) as { documents: { id: string }[] };
    expect(documents.map(({ id }) => id)).toEqual(['password-reset', 'account-locked']);
    const read = await call('desk:read_doc', { id: 'password-reset' });
    expect(structured(read)).toMatchObject({ title: 'Resetting a password' });
    expect(await call('desk:read_doc', { id: 'nothing' })).toMatchObject({ kind: 'result', isError: true });
    expect(structured(await call('desk:search_docs', { query: 'zzz' }))).toEqual({ documents: [] });
  });
});

test('every call opens another ticket, also with one idempotency key', async () => {
  await withDesk(async ({ call }) => {
    const args = { title: 'No mail', body: 'Tried twice.', idempotency_key: 'key-1' };
    const first = structured(await call('desk:create_ticket', args));
    expect(first).toEqual({
      id: 'TICKET-0001',
      title: 'No mail',
      body: 'Tried twice.',
      priority: 'normal',
      status: 'open',
    });
    expect(structured(await call('desk:create_ticket', { ...args, priority: 'high' }))).toMatchObject({
      id: 'TICKET-0002',
      priority: 'high',
    });
    expect(structured(await call('desk:get_ticket', { id: 'TICKET-0001' }))).toEqual(first);
    expect(await call('desk:get_ticket', { id: 'TICKET-9999' })).toMatchObject({
      kind: 'result',
      isError: true,
    });
  });
});

test('says of each tool whether it writes', async () => {
  await withDesk(async ({ downstreams }) => {
    const session = await downstreams.connection('desk')!.session(freshSignal());
    const { tools, refused } = await session.tools(freshSignal());
    expect(refused).toEqual([]);
    expect(tools.map(({ name, annotations }) => [name, annotations?.['readOnlyHint']])).toEqual([
      ['create_ticket', false],
      ['get_ticket', true],
      ['read_doc', true],
      ['search_docs', true],
    ]);
  });
});
