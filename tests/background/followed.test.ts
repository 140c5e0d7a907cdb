// Shows that a client of the built server over stdio need not poll: it is told of a run in the background until its end.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { answerAtTerminal, effects, saying, serve, servedPlace } from './served.ts';

type Doc = Record<string, unknown>;

describe.each(['v2', 'v1'] as const)('a client over stdio (%s)', (kind) => {
  verifies(
    ['AP-08'],
    'follows a session in the background by updates alone until it is completed: an approval given elsewhere continues it, and its record says who gave it',
    async () => {
      const at = await servedPlace({ principal: 'anna' });
      const client = await serve(at, kind);
      const started = await client.call('agent:start-session', { ...saying('count a.'), background: true });
      const uri = `agent://sessions/${String(started.session_id)}`;
      const { uris, told } = await client.follow(uri);
      expect(uris).toEqual([uri]);
      const seen: string[] = [];
      /** Reads once after subscribing, then only when told to; what is never told fails by the time limit. */
      const until = async (wanted: string): Promise<Doc> => {
        for (;;) {
          const { state } = (await client.read(uri)) as { state: { work: Doc } };
          seen.push(String(state.work.kind ?? state.work.status));
          if (seen.at(-1) === wanted) return state.work;
          await told();
        }
      };
      const waits = await until('approval_required');
      await answerAtTerminal(at, String(waits.pending_request_id), 'approve');
      expect(await until('completed')).toMatchObject({ status: 'completed', session_id: started.session_id });
      expect(seen.lastIndexOf('approval_required')).toBeLessThan(seen.indexOf('completed'));
      expect(await effects(at, 'a')).toHaveLength(1);

      // What went on, and who had it go on.
      const { timeline: own } = (await client.read(uri)) as { timeline: Doc[] };
      const approval_id = waits.pending_request_id;
      const from = own.findIndex((line) => line.type === 'invocation_ended');
      expect(own.slice(from, from + 3)).toMatchObject([
        { type: 'invocation_ended', outcome: 'waiting_approval', request_id: approval_id },
        { type: 'invocation_started', reason: 'approval' },
        { type: 'call_started', approval_id },
      ]);
      const run = await client.call('agent:inspect', { kind: 'run', id: own.at(-1)?.run_id });
      const given = (run as { timeline: Doc[] }).timeline.filter((line) => 'answered_by' in line);
      expect(given).toMatchObject([
        {
          type: 'approval_approved',
          chain: `approval/${String(approval_id)}`,
          answered_by: {
            tenant_id: 'local',
            principal_id: 'anna',
            attestation: 'same_user',
            channel: 'terminal',
          },
        },
      ]);
    },
    120_000,
  );
});
