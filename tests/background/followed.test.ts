// Shows that a client of the built server over stdio need not poll: it is told of a run in the background until its end.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { answerAtTerminal, effects, saying, serve, servedPlace } from './served.ts';

type Doc = Record<string, unknown>;

describe.each(['v2', 'v1'] as const)('a client over stdio (%s)', (kind) => {
  verifies(
    { partial: ['QB-03', 'QB-09'] },
    'follows a session in the background by updates alone, through an approval given elsewhere, until it is completed',
    async () => {
      const at = await servedPlace();
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
    },
    120_000,
  );
});
