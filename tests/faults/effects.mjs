// The effect counter. It lives in the parent; a worker reaches it over a unix socket, one connection for its life.
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** The parent's side: every whole line that arrives is one effect that has happened. */
export async function serveEffects(path) {
  const happened = [];
  const times = new Map(); // how often the same was done, by tool and arguments
  const open = new Set();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    let rest = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const { id, effect } = JSON.parse(line);
        happened.push(effect);
        const same = JSON.stringify([effect.tool, effect.args]);
        const time = (times.get(same) ?? 0) + 1;
        times.set(same, time);
        if (socket.writable) socket.write(`${JSON.stringify({ id, number: happened.length, time })}\n`);
      }
    });
  });
  await new Promise((resolve) => server.listen(path, resolve));
  return {
    happened,
    of: (callId) => happened.filter((one) => one.callId === callId).length,
    /** Resolves once `left` connections are open: what a dead worker had sent has then been counted. */
    async settled(left) {
      while (open.size > left) await new Promise((resolve) => setImmediate(resolve));
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** The worker's side. */
export async function reachEffects(path) {
  const socket = connect(path);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const waiting = new Map();
  let next = 0;
  createInterface({ input: socket }).on('line', (line) => {
    const reply = JSON.parse(line);
    waiting.get(reply.id)?.(reply);
  });
  // After half a line nothing more may follow: what others of the same process wrote would be read as its end.
  let isTorn = false;
  const write = (text) =>
    new Promise((resolve) => {
      if (!isTorn) socket.write(text, () => resolve());
    });
  const lineOf = (id, effect) => `${JSON.stringify({ id, effect })}\n`;
  return {
    /** Has the effect done and waits for the word of it. */
    apply(effect) {
      const id = (next += 1);
      const reply = new Promise((resolve) => waiting.set(id, resolve));
      if (!isTorn) socket.write(lineOf(id, effect));
      return reply;
    },
    /** Hands over the whole effect and hears nothing. */
    send: (effect) => write(lineOf(0, effect)),
    /** Hands over half of it: it never happens. */
    half(effect) {
      const written = write(lineOf(0, effect).slice(0, 20));
      isTorn = true;
      return written;
    },
    close: () => socket.destroy(),
  };
}
