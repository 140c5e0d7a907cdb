// Shows that two servers of different agents over one workspace each carry out their own agent's work, and leave the other's.
import { expect, test } from 'vitest';
import { command, eventually, reconfigured, serve, servedPlace } from './served.ts';
import type { Served, ServedPlace } from './served.ts';

type Doc = Record<string, unknown>;

async function work(client: Served, id: unknown): Promise<Doc> {
  const { state } = (await client.read(`agent://sessions/${String(id)}`)) as { state: { work: Doc } };
  return state.work;
}

function completed(client: Served, id: unknown): Promise<boolean> {
  return eventually(`${String(id)} is completed`, async () => (await work(client, id)).kind === 'completed');
}

async function queue(at: ServedPlace): Promise<unknown> {
  const { out } = await command(at, 'sessions', 'start', '--message', 'finish.', '--background', '--json');
  return (JSON.parse(out) as Doc).session_id;
}

test('a run in the queue waits for a server of its own agent, whoever else takes from the queue meanwhile', async () => {
  const at = await servedPlace();
  const other = await reconfigured(at, 'other', { agent: 'another-agent' });
  const [ours, theirs] = [await queue(at), await queue(other)];
  const stranger = await serve(other, 'v2');
  // Queued after ours, so a worker that took both would have had ours first.
  await completed(stranger, theirs);
  expect(await work(stranger, ours)).toMatchObject({ kind: 'queued', position: 0 });
  const own = await serve(at, 'v2');
  await completed(own, ours);
});
