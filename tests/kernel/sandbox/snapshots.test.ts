// What a copy of a kept home holds: regular files of that very home, and nothing that a link in it leads to.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fromSnapshot, lastSnapshot, makeSnapshot } from '../../../src/kernel/sandbox/snapshots.ts';

const when = process.platform === 'linux' ? describe : describe.skip;

function place(): { root: string; home: string } {
  const root = mkdtempSync(join(tmpdir(), 'snapshots-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const home = join(root, 'home');
  mkdirSync(home);
  return { root, home };
}

when('a copy of a kept home', () => {
  test('holds its regular files, and none that a link leads to, be it of a file or of a directory', async () => {
    const { root, home } = place();
    const secret = join(root, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'key'), 'of somebody else');
    mkdirSync(join(home, 'a'));
    writeFileSync(join(home, 'a', 'tool'), 'run', { mode: 0o755 });
    symlinkSync(secret, join(home, 'directory'));
    symlinkSync(join(secret, 'key'), join(home, 'file'));
    await makeSnapshot(root, home);
    const name = (await lastSnapshot(root))!;
    const copy = join(root, 'snapshots', name);
    expect(readdirSync(copy)).toEqual(['a']);
    const again = join(root, 'again');
    mkdirSync(again);
    expect(await fromSnapshot(root, name, again)).toBe(true);
    expect(readFileSync(join(again, 'a', 'tool'), 'utf8')).toBe('run');
    await makeSnapshot(root, home);
    expect(await lastSnapshot(root)).toBe(name); // of the same files
    expect(readdirSync(join(root, 'snapshots'))).toEqual([name]);
  });

  test('is another one when only the mode of a file or an empty directory is new', async () => {
    const { root, home } = place();
    const file = join(home, 'tool');
    writeFileSync(file, 'run', { mode: 0o644 });
    const made: (string | undefined)[] = [];
    const copied = async (): Promise<void> => {
      await makeSnapshot(root, home);
      made.push(await lastSnapshot(root));
    };
    await copied();
    chmodSync(file, 0o755);
    await copied();
    mkdirSync(join(home, 'empty'));
    await copied();
    expect(new Set(made).size).toBe(3);
  });

  test('is kept beside the one before it, also when a run changes nothing', async () => {
    const { root, home } = place();
    const made = new Set<string | undefined>();
    for (const content of ['good', 'spoiled', 'spoiled', 'spoiled']) {
      writeFileSync(join(home, 'file'), content);
      await makeSnapshot(root, home);
      made.add(await lastSnapshot(root));
    }
    expect(new Set(readdirSync(join(root, 'snapshots')))).toEqual(made);
    expect(made.size).toBe(2);
  });

  test('is not made of a home that is a link itself, nor of more than there may be; the last one stays', async () => {
    const { root, home } = place();
    writeFileSync(join(home, 'small'), 'x');
    await makeSnapshot(root, home);
    const name = await lastSnapshot(root);
    writeFileSync(join(home, 'large'), '');
    truncateSync(join(home, 'large'), 257 * 1024 * 1024); // takes no room
    await makeSnapshot(root, home);
    expect(await lastSnapshot(root)).toBe(name);
    expect(readdirSync(join(root, 'snapshots'))).toEqual([name]);
    symlinkSync(home, join(root, 'link'));
    await expect(makeSnapshot(root, join(root, 'link'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(existsSync(join(root, 'snapshots', 'making'))).toBe(false);
  });
});
