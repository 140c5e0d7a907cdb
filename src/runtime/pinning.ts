// Owns pinning at run time: pinning on a person's word, quarantining on drift, and telling listeners that the tools
// changed, whichever process changed them.
import { join } from 'node:path';
import { comparePins, pinServer, previewPin, reportLines, verifyLive } from '../capabilities/pins.ts';
import type { PinReport } from '../capabilities/pins.ts';
import type { PinnedDirectory } from '../capabilities/directory.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import type { PathTokens, PinFile } from '../capabilities/pin-file.ts';
import type { Clock } from '../base/clock.ts';
import { digestJson } from '../base/digest.ts';
import { RuntimeError } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import type { RuntimeConfig } from '../config/types.ts';
import { openLivePins } from './live-pins.ts';
import type { Log, PinResult } from './options.ts';

export interface Pinning {
  readonly directory: PinnedDirectory;
  pin(server: string, expected?: string): Promise<PinResult>;
  /** A live definition is not the pinned one: compare all and quarantine. */
  onDrift(server: string): void;
  /** Takes what other processes pinned or quarantined. */
  readonly refresh: () => Promise<void>;
  onToolsChanged(listener: () => void): () => void;
  readonly stop: () => void;
}

export interface PinningParts {
  config: RuntimeConfig;
  workspace: string;
  tokens: PathTokens;
  clock: Clock;
  log: Log;
  /** Made after the directory, because the executor needs both. */
  downstreams: () => Downstreams;
}

function changes(report: PinReport): string[] {
  return reportLines(report);
}

/**
 * A pin made elsewhere was made on another child. A child of ours that offers something else than is pinned now is not
 * judged by it but ended: the next call starts one of the program as it is today.
 */
function releaseOutdated(downstreams: Downstreams, before: PinFile, now: PinFile): void {
  for (const connection of downstreams.all()) {
    const { name } = connection.server;
    const [pin, live] = [now.servers[name], connection.listed()];
    if (pin === undefined || pin.quarantine !== undefined || live === undefined) continue;
    if (digestJson(pin as unknown as JsonValue) === pinDigestOf(before, name)) continue;
    const { changed, removed } = comparePins(name, connection.identity, pin, live);
    if (changed.length + removed.length > 0) void connection.release();
  }
}

function pinDigestOf(file: PinFile, server: string): string | undefined {
  const pin = file.servers[server];
  return pin === undefined ? undefined : digestJson(pin as unknown as JsonValue);
}

/** Reads the pin file; starts nothing. */
export async function openPinning(parts: PinningParts): Promise<Pinning> {
  const path = join(parts.workspace, '.agent-runtime', 'tools.lock.json');
  const live = await openLivePins({ ...parts, path });
  const { store: pins, directory, refresh } = live;
  live.onChanged((before, now) => {
    releaseOutdated(parts.downstreams(), before, now);
  });

  const connectionOf = (server: string): ReturnType<Downstreams['connection']> & object => {
    const connection = parts.downstreams().connection(server);
    if (connection === undefined) {
      throw new RuntimeError('NOT_FOUND', `There is no stdio server ${server} in servers.yaml.`, { server });
    }
    return connection;
  };

  return {
    directory,
    async pin(server, expected) {
      const connection = connectionOf(server);
      const { signal } = new AbortController();
      const held = (await pins.read()).servers[server]?.quarantine;
      const report =
        expected === undefined
          ? await previewPin(connection, pins, signal)
          : await pinServer(connection, pins, expected, signal);
      await refresh();
      const pinned = (await pins.read()).servers[server];
      return {
        server,
        // A server that went back to what was pinned differs in nothing, and is still to be released by a person.
        diff: [
          ...(held === undefined ? [] : [`${server}: quarantined (${held.reason}); pinning releases it`]),
          ...changes(report),
        ],
        tools: Object.keys(pinned?.tools ?? {}).sort(),
        written: expected !== undefined,
        digest: report.digest,
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
          await refresh();
        })
        .catch(() => {
          parts.log('error', 'a changed server could not be compared with its pin', { server });
        });
    },
    refresh,
    onToolsChanged: (listener) => live.onChanged(listener),
    stop: live.stop,
  };
}
