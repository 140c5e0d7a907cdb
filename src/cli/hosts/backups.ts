// Owns what a host's file was before each change of ours. It lies in the user's own state directory, because it may hold
// secrets and a workspace is shared.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestJson, sha256 } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import { openDocument } from '../../store/documents/document.ts';
import { replaceTextFile } from '../../store/documents/text-file.ts';
import { makePrivateDir } from '../../store/private-dir.ts';
import type { Host } from './host.ts';

interface Step {
  /** Digest of the text before, which names its copy; absent: there was no file. */
  before?: string | undefined;
  /** Digest of the text that was written. */
  after: string;
  /** The first folder that was made for the file. */
  made?: string | undefined;
}

interface Steps {
  schema_version: 1;
  file: string;
  steps: Step[];
}

const schema: z.ZodType<Steps> = z.strictObject({
  schema_version: z.literal(1),
  file: z.string(),
  steps: z.array(
    z.strictObject({ before: z.string().optional(), after: z.string(), made: z.string().optional() }),
  ),
});

export interface Backups {
  /** Copies the text that is about to be replaced; returns where the copy lies. */
  keep(before: string | undefined): Promise<string | undefined>;
  /** Stands before the file is written: a change that never came about is seen by the text, and passed over. */
  note(before: string | undefined, after: string, made: string | undefined): Promise<void>;
  /** What the last change replaced. Throws NOT_FOUND without one, CONFLICT when the file was changed since. */
  last(now: string | undefined): Promise<{ text: string | undefined; made: string | undefined }>;
  /** `now`: the text that was undone. */
  forgetLast(now: string | undefined): Promise<void>;
}

export function openBackups(stateDirectory: string, host: Host, file: string): Backups {
  const key = digestJson({ host: host.id, file }).slice('sha256:'.length, 'sha256:'.length + 16);
  const folder = join(stateDirectory, 'hosts', `${host.id}-${key}`);
  const empty: Steps = { schema_version: 1, file, steps: [] };
  const document = openDocument<Steps>({ path: join(folder, 'steps.json'), schema, empty });
  const copyOf = (digest: string): string =>
    join(folder, `${digest.replace(/^sha256:/, '').slice(0, 32)}.bak`);
  const digestOf = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : sha256(text);
  /** The steps that came about: a last one whose text before is the text now did not. */
  const stepsMade = async (now: string | undefined): Promise<Step[]> => {
    const { steps } = await document.read();
    const last = steps.at(-1);
    return last !== undefined && last.before === digestOf(now) ? steps.slice(0, -1) : steps;
  };
  return {
    async keep(before) {
      if (before === undefined) return undefined;
      makePrivateDir(folder);
      const copy = copyOf(sha256(before));
      await replaceTextFile(copy, before, 0o600);
      return copy;
    },
    async note(before, after, made) {
      const step: Step = {
        ...(before === undefined ? {} : { before: sha256(before) }),
        after: sha256(after),
        ...(made === undefined ? {} : { made }),
      };
      const steps = await stepsMade(before);
      await document.update((all) => ({ ...all, steps: [...steps, step] }));
    },
    async last(now) {
      const step = (await stepsMade(now)).at(-1);
      if (step === undefined) {
        throw new RuntimeError('NOT_FOUND', `There is no change of ours to undo in ${file}.`, { file });
      }
      const copy = step.before === undefined ? undefined : copyOf(step.before);
      if (now === undefined || sha256(now) !== step.after) {
        const was =
          copy === undefined ? 'Before our change there was no such file' : `What it was is in ${copy}`;
        const message = `${file} was changed since we wrote it, so it is left as it is. ${was}.`;
        throw new RuntimeError('CONFLICT', message, {
          file,
          ...(copy === undefined ? {} : { backup: copy }),
        });
      }
      if (copy === undefined) return { text: undefined, made: step.made };
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(copy));
      if (sha256(text) === step.before) return { text, made: step.made };
      throw new RuntimeError('STORE_CORRUPT', `The copy ${copy} is not what was kept. Nothing was changed.`, {
        file,
      });
    },
    async forgetLast(now) {
      const steps = await stepsMade(now);
      await document.update((all) => ({ ...all, steps: steps.slice(0, -1) }));
    },
  };
}
