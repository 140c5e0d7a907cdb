// Owns the process whose memory is measured: it brings sessions to where they wait and then goes on to hold them. Says one
// JSON line for each command line it is given.
import { createInterface } from 'node:readline';
import { openRead } from '../floor/read.mjs';
import { median, throughput, timeEach } from './measure.mjs';
import { makePlace } from './place.mjs';
import { CALLER, ownIo, openRuntime } from './runtime.mjs';

const IN_FLIGHT = 16;
const MB = 1_048_576;

const place = makePlace({
  rules: [
    { id: 'ask', tools: ['look'], decision: 'approval_required', reason: 'A person is to look at it.' },
  ],
});
const open = await openRuntime({ place });
const ids = [];

async function sleeper() {
  const messages = [{ role: 'user', content: `find it ${'x'.repeat(180)}` }];
  const input = { execute_turn_input: { messages } };
  const { kind, session_id } = await open.runtime.startSession(CALLER, input, ownIo());
  if (kind !== 'approval_required') throw new Error(`a sleeper is ${kind}`);
  ids.push(session_id);
}

const commands = {
  memory() {
    globalThis.gc();
    return process.memoryUsage().rss / MB;
  },
  async sleep({ sessions }) {
    await throughput(sessions, IN_FLIGHT, sleeper);
    return ids.length;
  },
  /** Milliseconds of one resume that finds the session still waiting, and of reading its chain. */
  async resume({ resumes }) {
    const bare = openRead(open.file);
    const chosen = () => ids.splice(Math.floor((ids.length - 1) / 2), 1)[0];
    const ours = await timeEach(resumes, async () => {
      const { kind } = await open.runtime.managed.run(CALLER, chosen(), { reason: 'resumed' }, ownIo());
      if (kind !== 'approval_required') throw new Error(`a sleeper woke as ${kind}`);
    });
    const floor = await timeEach(resumes, async () => {
      const records = bare.read({ tenant: CALLER.tenant, aggregate: 'session', id: chosen() });
      if (records.length < 5) throw new Error(`a chain has ${records.length} records`);
    });
    bare.close();
    return { ours: median(ours), floor: median(floor) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await commands[command](rest))}\n`);
}
await open.close();
