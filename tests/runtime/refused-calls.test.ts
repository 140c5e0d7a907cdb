// A call that a turn refused as the model asked for it has no record but that turn's: it is told from there.
import { expect, test } from 'vitest';
import { CALLER, open, place } from './rig.ts';

test('a call that was refused as it was asked for is told with the turn that refused it, and with its decision', async () => {
  const bench = await open(await place());
  const both = ['nowhere', 'elsewhere'];
  const toolCalls = both.map((name) => ({ id: `native-${name}`, name, rawInput: '{}' }));
  bench.model.next({ text: '', toolCalls, finishReason: 'tool_calls' });
  const {
    session_id,
    run_id,
    requested_tools: asked,
  } = (await bench.turn()) as unknown as {
    session_id: string;
    run_id: string;
    requested_tools: { tool_call_id: string }[];
  };
  const ids = asked.map((one) => one.tool_call_id);
  for (const [at, id] of ids.entries()) {
    const { timeline, decisions, links } = await bench.runtime.inspect(CALLER, 'request', id);
    expect(timeline.map(({ type, seq }) => [type, seq])).toEqual([['turn_completed', 3]]);
    expect(decisions).toMatchObject([{ call_id: id, decision: 'deny', seq: 3, tool: both[at] }]);
    expect(links.records).toEqual([`session/${session_id}#3`]);
  }
  const run = await bench.runtime.inspect(CALLER, 'run', run_id);
  expect(run.links.request_ids).toEqual(ids);
  expect(run.decisions).toHaveLength(2);
});
