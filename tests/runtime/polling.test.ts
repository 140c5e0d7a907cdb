// Calls that name no session, as a client of the gateway makes them: what is looked at again is no cycle while it changes.
import { expect, test } from 'vitest';
import { CALLER, IO, OK, open, place } from './rig.ts';

test('a client may look as often as what it looks at changes; the same answer too often is a cycle', async () => {
  const bench = await open(await place());
  const look = async (text: string): Promise<string> => {
    bench.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text }] });
    const { status, decision } = await bench.runtime.callCapability(CALLER, { tool: 'look', args: {} }, IO);
    return status === 'denied' ? decision.rule_id : status;
  };
  for (let n = 0; n < 6; n++) expect(await look(`step ${n}`)).toBe('done');
  const seen: string[] = [];
  for (let n = 0; n < 3; n++) seen.push(await look('step 5'));
  expect(seen).toEqual(['done', 'done', 'cycle_detection']);
  expect(bench.effects).toHaveLength(8);
});
