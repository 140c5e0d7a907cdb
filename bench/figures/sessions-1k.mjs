// What is left of a thousand capability sessions, each of a principal and with a child of its own, that were opened, idled
// out, were opened anew and idled out again: memory and descriptors of the process, against the same process before them.
// No child may be left. The same again over HTTP, where no session may be left at the server.
import { fileURLToPath } from 'node:url';
import { figure } from '../lib/measure.mjs';
import { startProcess } from '../lib/process.mjs';

const PROCESS = fileURLToPath(new URL('../lib/sessions-process.mjs', import.meta.url));

/** A process whose principals each open a session twice, the second one after the first has idled out. */
function startOpener(transport) {
  const opener = startProcess(PROCESS, transport);
  let opened = 0;
  let principals = 0;
  const open = async (count) => {
    opened += count;
    if ((await opener.ask('open', { from: principals, count })) !== opened)
      throw new Error('some did not open');
    await opener.ask('idle');
  };
  return {
    async twice(count) {
      await open(count);
      await open(count);
      principals += count;
    },
    held: (settleMs) => opener.ask('held', { settleMs }),
    end: () => opener.end(),
  };
}

async function measure(name, transport, { rounds, sessions, warmup, settleMs }) {
  const opener = startOpener(transport);
  const before = [];
  const after = [];
  try {
    await opener.twice(warmup);
    for (let round = 0; round < rounds; round++) {
      before.push(await opener.held(settleMs));
      await opener.twice(sessions);
      after.push(await opener.held(settleMs));
    }
  } finally {
    await opener.end();
  }
  const of = (held, key) => held.map((one) => one[key]);
  const line = (label, unit, key) => figure(label, unit, of(after, key), of(before, key));
  return [
    line(name, 'MB', 'heap'),
    line(`${name}-rss`, 'MB', 'rss'),
    line(`${name}-descriptors`, 'count', 'descriptors'),
  ];
}

export async function run({ rounds = 1, sessions = 1000, warmup = 200, settleMs = 6000 } = {}) {
  // Children and descriptors are counted where the system lists them.
  if (process.platform !== 'linux') return [];
  const options = { rounds, sessions, warmup, settleMs };
  return [
    ...(await measure('sessions-1k', 'stdio', options)),
    ...(await measure('sessions-1k-http', 'http', options)),
  ];
}
