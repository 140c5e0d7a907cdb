// Owns the asking of a process whose memory is measured: a JSON line for each command line.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export function startProcess(file, ...args) {
  const child = fork(file, args, { execArgv: ['--expose-gc'], stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(command, more = {}) {
      child.stdin.write(`${JSON.stringify({ command, ...more })}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the process ended at ${command}`);
      return JSON.parse(value);
    },
    async end() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
