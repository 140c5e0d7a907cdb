// Owns a person at a terminal: a command in tmux, what its screen shows, and the keys that are typed. Approvals are answered
// nowhere else, because a pipe cannot have read what was asked.
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MAIN } from './place.mjs';

const exec = promisify(execFile);
const PATIENCE_MS = 60_000;

const quoted = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

async function shown(tmux, wanted) {
  for (const end = Date.now() + PATIENCE_MS; ; await pause(50)) {
    const { stdout } = await tmux('capture-pane', '-p', '-J');
    if (stdout.includes(wanted)) return stdout;
    if (Date.now() > end) throw new Error(`never shown: ${wanted}\n${stdout}`);
  }
}

/** Reads what `approvals resolve` shows and approves it; gives back the screen that was read. */
export async function approveAtTerminal(place, approvalId) {
  const env = { ...place.env, LANG: 'C.UTF-8', TERM: 'xterm-256color' };
  const socket = `example-${process.pid}`;
  const tmux = (...words) => exec('tmux', ['-u', '-f', '/dev/null', '-L', socket, ...words], { env });
  const resolve = [process.execPath, MAIN, 'approvals', 'resolve', approvalId, '--decision', 'approve'];
  const line = `${resolve.map(quoted).join(' ')}; echo EXIT:$?; read -r _`;
  await tmux('new-session', '-d', '-x', '160', '-y', '60', '-c', place.workspace, line).catch((error) => {
    throw new Error(`a terminal is needed to approve, and tmux gives one: ${error.message}`);
  });
  try {
    const read = await shown(tmux, 'Your answer');
    await tmux('send-keys', 'Enter');
    await shown(tmux, 'A note for the record');
    await tmux('send-keys', 'within the yearly budget');
    await tmux('send-keys', 'Enter');
    await shown(tmux, 'EXIT:0');
    return read;
  } finally {
    await tmux('kill-server').catch(() => undefined);
  }
}
