// Owns how much processor time a gateway's calls take: of this process, the gateway and everything below it, as Linux tells it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export const isTold = existsSync('/proc/self/task') && existsSync('/proc/self/schedstat');

const lines = (path) => readFileSync(path, 'utf8').trim().split(/\s+/).filter(Boolean);

function withDescendants(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) => lines(`/proc/${pid}/task/${thread}/children`));
  return [pid, ...children.flatMap(withDescendants)];
}

/** Microseconds since the process began, of all its threads that live. */
function spent(pid) {
  const ofThread = (thread) => Number(lines(`/proc/${pid}/task/${thread}/schedstat`)[0]) / 1000;
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + ofThread(thread), 0);
}

/** Microseconds of processor time that `work` took here and in the gateway of `client` with its server. */
export async function processorTime(client, work) {
  const pids = [process.pid, ...withDescendants(client.transport.pid)];
  const total = () => pids.reduce((sum, pid) => sum + spent(pid), 0);
  const before = total();
  await work();
  return total() - before;
}
