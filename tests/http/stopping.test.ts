// A signal while a tool of a real downstream server runs: what is known afterwards, and what is left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { command, effectsIn, MAIN, openPlaces } from '../matrix/place.mjs';
import type { Place } from '../matrix/place.mjs';
import { ask, modern } from './rig.ts';

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function serve(
  place: Place,
): Promise<{ url: string; pid: number; ended: Promise<unknown>; stop: () => void }> {
  const where = ['--workspace', place.workspace, '--config', place.config];
  const child = spawn(process.execPath, [MAIN, 'serve', '--http', '--port', '0', ...where], {
    cwd: place.workspace,
    env: place.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let log = '';
  const url = await new Promise<string>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      const found = /"url":"([^"]+)"/.exec(log)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const ended = once(child, 'close').then(([code]: unknown[]) => code);
  return { url, pid: child.pid ?? 0, ended, stop: () => void child.kill('SIGTERM') };
}

/** Resolves when a probe has written this line. */
function written({ sandbox }: Place, file: string, line: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(sandbox, () => void look());
    const look = async (): Promise<void> => {
      if (!(await effectsIn(file)).includes(line)) return;
      watcher.close();
      resolve();
    };
    void look();
  });
}

// Processes are looked up where the system shows them as files.
test.runIf(process.platform === 'linux')(
  'a call in flight at SIGTERM is on record as unknown, and no child is left',
  async () => {
    const [place] = await openPlaces(1);
    if (place === undefined) throw new Error('no place');
    onTestFinished(() => place.close());
    const made = await command(
      place,
      'tokens',
      'add',
      '--principal',
      'alice',
      '--role',
      'operator',
      '--json',
    );
    const { token } = JSON.parse(made.out) as { token: string };
    const at = await serve(place);
    const file = join(place.sandbox, 'slow');
    const params = { name: 'probe:slow', arguments: { ms: 60_000, file } };
    const call = ask(at, { ...modern('tools/call', params), token }).then(
      () => 'answered',
      () => 'broken off',
    );
    await written(place, file, 'began');
    const children = childrenOf(at.pid);
    expect(children.length).toBeGreaterThan(0);
    at.stop();
    expect(await at.ended).toBe(0);
    await call;
    for (const pid of children) expect(() => process.kill(pid, 0)).toThrow('ESRCH');

    const again = await serve(place);
    const list = { name: 'agent:list-requests', arguments: { filter: { tool: 'probe:slow' } } };
    const { body } = await ask(again, { ...modern('tools/call', list), token });
    const { items } = (body.result as { structuredContent: { items: object[] } }).structuredContent;
    expect(items).toMatchObject([{ tool: 'probe:slow', side_effect_status: 'side_effect_unknown' }]);
    again.stop();
    expect(await again.ended).toBe(0);
  },
  60_000,
);
