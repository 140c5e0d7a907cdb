// Owns replacing a text file whole: a reader sees the old text or the new one, also after a loss of power.
import { dirname } from 'node:path';
import { syncDir } from '../private-dir.ts';

export async function replaceTextFile(path: string, text: string, mode: number): Promise<void> {
  const { default: writeFileAtomic } = await import('write-file-atomic');
  await writeFileAtomic(path, text, { mode, fsync: true });
  syncDir(dirname(path));
}
