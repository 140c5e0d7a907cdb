// Owns the pin file as a running process sees it: read at the start, and read anew whenever it changed on disk, whoever
// changed it.
//
// L1: whoever refreshes first and then looks sees every change of the file that was complete by then.
// L2: a file that can no longer be read, or whose names no longer fit the catalog, trusts nothing: every pinned tool is
//     quarantined, with the reason, until the file is whole again.
import { statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { createToolDirectory } from '../capabilities/directory.ts';
import type { PinnedDirectory } from '../capabilities/directory.ts';
import { EMPTY_PIN_FILE, pinFileSchema } from '../capabilities/pin-file.ts';
import type { PathTokens, PinFile, PinStore } from '../capabilities/pin-file.ts';
import type { Clock } from '../base/clock.ts';
import { digestJson } from '../base/digest.ts';
import { asRuntimeError } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { openDocument } from '../store/documents/document.ts';
import type { Log } from './options.ts';

export interface LivePins {
  readonly store: PinStore;
  readonly directory: PinnedDirectory;
  /** The file as it was read last. */
  file(): PinFile;
  /** L1. Costs one look at the file's status when nothing changed. */
  readonly refresh: () => Promise<void>;
  /** Told after the directory has it. */
  onChanged(listener: (before: PinFile, now: PinFile) => void): void;
  /** Ends the looking by itself; whoever refreshes still sees changes. */
  readonly stop: () => void;
}

export interface LivePinsParts {
  path: string;
  config: RuntimeConfig;
  tokens: PathTokens;
  clock: Clock;
  log: Log;
}

// Only so that clients hear of a change without asking: deciding and listing never rely on it.
const LOOK_MS = 1000;

type Stamp = BigIntStats | 'none' | 'unreadable';

/** Differs whenever the file was replaced or written; no content is read for it. */
function stampOf(path: string): Stamp {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? 'none';
  } catch {
    return 'unreadable';
  }
}

function isSame(a: Stamp, b: Stamp): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

function digestOf(file: PinFile): string {
  return digestJson(file as unknown as JsonValue);
}

/** Answers with what ends it. */
function regularly(clock: Clock, look: () => Promise<void>): () => void {
  let cancel = (): void => undefined;
  const wait = (): void => {
    cancel = clock.after(LOOK_MS, () => {
      wait();
      void look();
    });
  };
  wait();
  return () => {
    cancel();
  };
}

/** Rejects when the file cannot be read now; starts nothing but a timer. */
export async function openLivePins(parts: LivePinsParts): Promise<LivePins> {
  const { path, log } = parts;
  const store: PinStore = openDocument<PinFile>({ path, schema: pinFileSchema, empty: EMPTY_PIN_FILE });
  let stamp = stampOf(path);
  let file = await store.read();
  let digest = digestOf(file);
  const directory = createToolDirectory(parts.config, file, parts.tokens);
  const listeners = new Set<(before: PinFile, now: PinFile) => void>();
  let reading: Promise<void> | undefined;

  const tell = (now: PinFile): void => {
    const before = file;
    file = now;
    for (const listener of listeners) listener(before, now);
  };
  const readAnew = async (): Promise<void> => {
    // Taken before the content: a change in between is another stamp, and so read at the next refresh.
    const seen = stampOf(path);
    try {
      const now = await store.read();
      const found = digestOf(now);
      if (found !== digest) {
        directory.load(now);
        digest = found;
        tell(now);
      }
    } catch (thrown) {
      const { message } = asRuntimeError(thrown);
      log('error', 'the pin file cannot be used; no pinned tool is trusted', { reason: message });
      directory.distrust(`the pin file cannot be used: ${message}`);
      digest = '';
      tell(file);
    }
    stamp = seen;
  };
  const refresh = async (): Promise<void> => {
    // A reading that began earlier may have missed what is there now.
    while (reading !== undefined) await reading;
    if (isSame(stampOf(path), stamp)) return;
    reading = readAnew().finally(() => {
      reading = undefined;
    });
    await reading;
  };

  return {
    store,
    directory: { ...directory, refresh },
    file: () => file,
    refresh,
    onChanged(listener) {
      listeners.add(listener);
    },
    stop: regularly(parts.clock, refresh),
  };
}
