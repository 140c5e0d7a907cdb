// A real terminal: a command in tmux, what its screen shows, and keys typed into it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { environment, MAIN } from './harness.ts';
import type { Place } from './harness.ts';

const exec = promisify(execFile);
const PATIENCE_MS = 20_000;

export interface Screen {
  text(): Promise<string>;
  /** Waits until the screen holds the text; fails with the screen when it never does. */
  shows(text: string | RegExp): Promise<string>;
  keys(...keys: string[]): Promise<void>;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

let opened = 0;

/** `redirect` is shell text, such as `< /dev/null`. The screen ends with `EXIT:<code>` once the command has ended. */
export async function openScreen(
  at: Place,
  args: readonly string[],
  redirect = '',
  columns = 160,
): Promise<Screen> {
  const socket = `cli-${process.pid}-${opened++}`;
  const tmux = (...words: string[]): Promise<{ stdout: string }> =>
    exec('tmux', ['-u', '-f', '/dev/null', '-L', socket, ...words], {
      env: environment(at, { LANG: 'C.UTF-8', TERM: 'xterm-256color' }),
    });
  onTestFinished(async () => {
    await tmux('kill-server').catch(() => undefined);
  });
  const command = `${[process.execPath, MAIN, ...args].map(quoted).join(' ')} ${redirect}`;
  const size = ['-x', String(columns), '-y', '60'];
  await tmux('new-session', '-d', ...size, '-c', at.workspace, `${command}; echo EXIT:$?; read -r _`);
  const text = async (): Promise<string> => (await tmux('capture-pane', '-p', '-J')).stdout;
  return {
    text,
    async shows(wanted) {
      const until = performance.now() + PATIENCE_MS;
      for (;;) {
        const now = await text();
        if (typeof wanted === 'string' ? now.includes(wanted) : wanted.test(now)) return now;
        if (performance.now() > until) throw new Error(`never shown: ${String(wanted)}\n${now}`);
        await pause(25);
      }
    },
    async keys(...keys) {
      for (const key of keys) await tmux('send-keys', key);
    },
  };
}
