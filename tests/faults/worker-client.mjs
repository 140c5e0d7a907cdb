// The parent's hold on one worker: its requests, its answers, and its end.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url));

/** Asked of a worker that died before it answered: whether the thing happened is in doubt. */
export const DIED = Symbol('died');

const LONGEST_ANSWER_MS = 60_000;

export function startWorker(program = WORKER) {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map();
  const events = new Map();
  let next = 0;
  let isDead = false;
  const eventOf = (name) => {
    if (!events.has(name)) {
      let happen;
      const happened = new Promise((resolve) => (happen = resolve));
      events.set(name, { happened, happen });
      if (isDead) happen(DIED);
    }
    return events.get(name);
  };
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.event !== undefined) return eventOf(line.event).happen(line);
    const answer = waiting.get(line.id);
    waiting.delete(line.id);
    return answer(line);
  });
  // `close` comes after the last line that it wrote.
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      isDead = true;
      for (const answer of waiting.values()) answer(DIED);
      for (const { happen } of events.values()) happen(DIED);
      resolve({ code, signal });
    });
  });
  return {
    ended,
    loaded: eventOf('loaded').happened,
    event: (name) => eventOf(name).happened,
    kill: () => child.kill('SIGKILL'),
    /** `{ ok, value | code }`, or DIED. */
    ask(op, rest = {}) {
      if (isDead) return Promise.resolve(DIED);
      const id = (next += 1);
      child.stdin.write(`${JSON.stringify({ id, op, ...rest })}\n`);
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no answer to ${op}`)), LONGEST_ANSWER_MS);
        waiting.set(id, (answer) => {
          clearTimeout(late);
          resolve(answer);
        });
      });
    },
  };
}
