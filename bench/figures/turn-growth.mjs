// What a turn costs late in a session against early in one: turns about the 1,000th of one session, and in between
// turns about the 10th of fresh sessions, so that both are taken in the same minute.
import { statSync } from 'node:fs';
import Database from 'libsql';
import { figure, interleave, median, timeEach } from '../lib/measure.mjs';
import { CALLER, IO, openRuntime } from '../lib/runtime.mjs';

/** One turn of a session, or the first of a new one; gives the session. */
async function turn(runtime, session) {
  const input = {
    messages: [{ role: 'user', content: `please note ${'x'.repeat(180)}` }],
    ...(session === undefined ? {} : { session_id: session }),
  };
  const answer = await runtime.executeTurn(CALLER, input, IO);
  if (answer.status !== 'reply') throw new Error(`the turn went wrong: ${JSON.stringify(answer)}`);
  return answer.session_id;
}

async function grow(runtime, turns) {
  let session;
  for (let at = 0; at < turns; at++) session = await turn(runtime, session);
  return session;
}

/** What the database holds with its log copied back. */
function fileBytes(file) {
  const db = new Database(file);
  db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all([]);
  db.close();
  return statSync(file).size;
}

/** Bytes that `turns` turns of a session add, each. */
async function bytesPerTurn(open, turns, session) {
  const before = fileBytes(open.file);
  for (let at = 0; at < turns; at++) await turn(open.runtime, session);
  return (fileBytes(open.file) - before) / turns;
}

export async function run({ rounds = 20, warmup = 4, early = 10, late = 1000, timed = 6 } = {}) {
  const open = await openRuntime();
  const { runtime } = open;
  try {
    const lateTurns = timed * (rounds + warmup);
    const old = await grow(runtime, late - Math.floor(lateTurns / 2));
    const times = await interleave(rounds, warmup, {
      late: async () => median(await timeEach(timed, () => turn(runtime, old))),
      early: async () => {
        const fresh = await grow(runtime, early - Math.floor(timed / 2));
        return median(await timeEach(timed, () => turn(runtime, fresh)));
      },
    });
    const bytes = await interleave(rounds, warmup, {
      late: () => bytesPerTurn(open, timed, old),
      early: async () => bytesPerTurn(open, timed, await grow(runtime, early - Math.floor(timed / 2))),
    });
    // A file grows by whole pages, so a round alone says little: the mean of all rounds is the value.
    const mean = (values) => [values.reduce((sum, value) => sum + value, 0) / values.length];
    const size = figure('turn-growth-bytes', 'bytes', mean(bytes.late), mean(bytes.early));
    return [figure('turn-growth', 'ms', times.late, times.early), { ...size, rounds }];
  } finally {
    await open.close();
  }
}
