// Shows that whoever started a long run over MCP looks at it, has it go on and ends it by the same tools, whatever process
// carries it out.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { effects, eventually, saying, serve, servedPlace } from './served.ts';

type Doc = Record<string, unknown>;

verifies(
  ['IN-13'],
  'a long run is polled, resumed and canceled by the tools of the server that started it, and by those of the next',
  async () => {
    const at = await servedPlace();
    const first = await serve(at, 'v2');
    const long = await first.call('agent:start-session', {
      ...saying('be quick.'),
      max_turns_per_invocation: 1,
      background: true,
    });
    const slow = await first.call('agent:start-session', { ...saying('be slow.'), background: true });
    expect([long.status, slow.status]).toEqual(['queued', 'queued']);
    let client = first;
    const poll = async (id: unknown): Promise<Doc> => {
      const { state } = (await client.call('agent:inspect', { kind: 'session', id })) as { state: Doc };
      return state.work as Doc;
    };
    const until = (id: unknown, status: string): Promise<Doc> =>
      eventually(`${String(id)} is ${status}`, async () => {
        const now = await poll(id);
        return now.status === status ? now : undefined;
      });
    await until(long.session_id, 'suspended');
    await eventually('the slow call has begun', async () => (await effects(at, 'slow')).length > 0);
    expect(await poll(slow.session_id)).toMatchObject({ status: 'active' });

    const canceled = await client.call('agent:cancel', { session_id: slow.session_id, reason: 'too slow' });
    expect(canceled).toMatchObject({ session_id: slow.session_id, status: 'canceled' });
    expect(await poll(slow.session_id)).toMatchObject({ kind: 'canceled', reason: 'too slow' });
    await client.close();

    client = await serve(at, 'v1');
    expect(await poll(slow.session_id)).toMatchObject({ kind: 'canceled', reason: 'too slow' });
    expect(await poll(long.session_id)).toMatchObject({ kind: 'suspended', turn_count: 1 });
    await client.call('agent:resume-session', { session_id: long.session_id, background: true });
    const done = await until(long.session_id, 'completed');
    expect(done).toMatchObject({ kind: 'completed', final_turn: { assistant_message: 'Done.' } });
    expect(await effects(at, 'quick')).toHaveLength(2);
  },
  120_000,
);
