import { expect } from 'vitest';
import { answerAtTerminal, command, saying, serve, servedPlace } from '../background/served.ts';
import { verifies } from '../e2e/verifies.ts';

type Doc = Record<string, unknown>;

verifies(
  ['IN-12'],
  'one command tells of a run who asked for what, what was decided and by whom, what was done, how it ended, and the proof',
  async () => {
    const at = await servedPlace({ principal: 'anna' });
    const client = await serve(at, 'v2');
    const waits = await client.call('agent:start-session', saying('count a.'));
    const session_id = String(waits.session_id);
    await answerAtTerminal(at, String(waits.pending_request_id), 'approve');
    expect(await client.call('agent:resume-session', { session_id })).toMatchObject({ kind: 'completed' });
    const inspected = await client.call('agent:inspect', { kind: 'session', id: session_id });
    const [id = ''] = (inspected.links as { run_ids: string[] }).run_ids;
    await client.close();

    const told = await command(at, 'runs', 'show', id, '--json');
    expect(told.code).toBe(0);
    const run = JSON.parse(told.out) as Record<'state' | 'links', Doc> &
      Record<'timeline' | 'decisions' | 'receipts', Doc[]>;
    expect(run.state).toMatchObject({
      ...{ run_id: id, session_id, principal_id: 'anna', status: 'success' },
      ...{ user_input: 'count a.', output_text: 'It is counted.', terminal_reason: 'final_answer' },
    });
    expect(run.decisions).toMatchObject([{ tool: 'counter:count', decision: 'approval_required' }]);
    const given = run.timeline.find((line) => line.type === 'approval_approved');
    expect(given).toMatchObject({ answered_by: { principal_id: 'anna', attestation: 'same_user' } });
    expect(run.receipts.map((one) => [one.type, one.side_effect_status])).toEqual([
      ['call_started', null],
      ['call_finished', 'applied'],
    ]);

    const { out } = await command(at, 'runs', 'show', id);
    const [reason] = run.decisions[0]?.reasons as string[];
    for (const text of [
      ...['anna', 'count a.', 'It is counted.', 'final_answer', 'attestation=same_user'],
      ...['decision=approval_required', reason ?? '', 'side_effect_status=applied'],
      ...run.receipts.map((one) => String(one.receipt_id)),
    ]) {
      expect(out.replaceAll(/\s+/g, ' ')).toContain(text);
    }
    expect((await command(at, 'runs', 'show', 'run_0')).code).toBe(4);
  },
  60_000,
);
