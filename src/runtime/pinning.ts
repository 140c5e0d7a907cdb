// Owns the pin file of a workspace at run time: reading it once, pinning on a person's word, quarantining on drift, and
// telling listeners that the tools changed.
import { join } from 'node:path';
import { pinServer, previewPin, reportLines, verifyLive } from '../capabilities/pins.ts';
import type { PinReport } from '../capabilities/pins.ts';
import { createToolDirectory } from '../capabilities/directory.ts';
import type { PinnedDirectory } from '../capabilities/directory.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import { EMPTY_PIN_FILE, pinFileSchema } from '../capabilities/pin-file.ts';
import type { PathTokens, PinFile, PinStore } from '../capabilities/pin-file.ts';
import { RuntimeError } from '../base/errors.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { openDocument } from '../store/documents/document.ts';
import type { Log } from './options.ts';

export interface Pinning {
  readonly directory: PinnedDirectory;
  pin(
    server: string,
    write: boolean,
  ): Promise<{ server: string; diff: string[]; tools: string[]; written: boolean }>;
  /** A live definition is not the pinned one: compare all and quarantine. */
  onDrift(server: string): void;
  onToolsChanged(listener: () => void): () => void;
}

export interface PinningParts {
  config: RuntimeConfig;
  workspace: string;
  tokens: PathTokens;
  log: Log;
  /** Made after the directory, because the executor needs both. */
  downstreams: () => Downstreams;
}

function changes(report: PinReport): string[] {
  return reportLines(report);
}

/** Reads the pin file; starts nothing. */
export async function openPinning(parts: PinningParts): Promise<Pinning> {
  const path = join(parts.workspace, '.agent-runtime', 'tools.lock.json');
  const pins: PinStore = openDocument<PinFile>({ path, schema: pinFileSchema, empty: EMPTY_PIN_FILE });
  const directory = createToolDirectory(parts.config, await pins.read(), parts.tokens);
  const listeners = new Set<() => void>();
  const reload = async (): Promise<void> => {
    directory.load(await pins.read());
    for (const listener of listeners) listener();
  };

  const connectionOf = (server: string): ReturnType<Downstreams['connection']> & object => {
    const connection = parts.downstreams().connection(server);
    if (connection === undefined) {
      throw new RuntimeError('NOT_FOUND', `There is no stdio server ${server} in servers.yaml.`, { server });
    }
    return connection;
  };

  return {
    directory,
    async pin(server, write) {
      const connection = connectionOf(server);
      const { signal } = new AbortController();
      const held = (await pins.read()).servers[server]?.quarantine;
      const report = write
        ? await pinServer(connection, pins, signal)
        : await previewPin(connection, pins, signal);
      if (write) await reload();
      const pinned = (await pins.read()).servers[server];
      return {
        server,
        // A server that went back to what was pinned differs in nothing, and is still to be released by a person.
        diff: [
          ...(held === undefined ? [] : [`${server}: quarantined (${held.reason}); pinning releases it`]),
          ...changes(report),
        ],
        tools: Object.keys(pinned?.tools ?? {}).sort(),
        written: write,
      };
    },
    onDrift(server) {
      verifyLive(connectionOf(server), pins, new AbortController().signal)
        .then(async (found) => {
          parts.log('warn', 'tools of a server changed after they were pinned', {
            server,
            verdict: found.verdict,
            diff: changes(found).slice(0, 20),
          });
          await reload();
        })
        .catch(() => {
          parts.log('error', 'a changed server could not be compared with its pin', { server });
        });
    },
    onToolsChanged(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}
