// Owns pinning at run time: pinning on a person's word, quarantining what deviates from its pin, both on record, and
// telling listeners that the tools changed, whichever process changed them.
//
// P1: a server whose list deviates is quarantined in this process at once, then in the file, then on record; a quarantine
//     that cannot be written holds here all the same.
// P2: a pin that cannot be recorded is taken back.
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { digestJson } from '../base/digest.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import type { Connection } from '../capabilities/connection.ts';
import type { LiveList } from '../capabilities/definitions.ts';
import type { PinnedDirectory } from '../capabilities/directory.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import type { PathTokens, PinFile, PinStore, ServerPin } from '../capabilities/pin-file.ts';
import {
  comparePins,
  pinServer,
  previewPin,
  quarantineFor,
  reportLines,
  verifyLive,
} from '../capabilities/pins.ts';
import type { PinReport } from '../capabilities/pins.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import { openLivePins } from './live-pins.ts';
import type { LivePins } from './live-pins.ts';
import type { Log, PinResult } from './options.ts';
import type { WorkspaceRecord } from './workspace-record.ts';

export interface Pinning {
  readonly directory: PinnedDirectory;
  pin(server: string, expected?: string): Promise<PinResult>;
  /** A server gave a list: quarantined when it deviates from the pin (P1). */
  onListed(server: string, list: LiveList): void;
  /** A call met a definition that is not the one it was decided on. */
  onDrift(server: string): void;
  /** Takes what other processes pinned or quarantined. */
  readonly refresh: () => Promise<void>;
  onToolsChanged(listener: () => void): () => void;
  /** Waits for what is being written. */
  stop(): Promise<void>;
}

export interface PinningParts {
  config: RuntimeConfig;
  workspace: string;
  tokens: PathTokens;
  clock: Clock;
  log: Log;
  record: WorkspaceRecord;
  /** Made after the directory, because the executor needs both. */
  downstreams: () => Downstreams;
  gate: Pick<Gate, 'prepare'>;
}

// More than any person reads; the file has all of it.
const RECORDED_LINES = 100;

function entryDigest(file: PinFile, server: string): string {
  return digestJson((file.servers[server] ?? null) as unknown as JsonValue);
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
    if (entryDigest(before, name) === entryDigest(now, name)) continue;
    const { changed, removed, versionChanged } = comparePins(name, connection.identity, pin, live);
    if (changed.length + removed.length > 0 || versionChanged !== undefined)
      void connection.release('closed');
  }
}

/** What may be pinned and can never be called: the gate refuses arguments that it cannot check. */
async function uncheckable(
  gate: Pick<Gate, 'prepare'>,
  server: string,
  live: LiveList | undefined,
): Promise<string[]> {
  const lines: string[] = [];
  for (const { name, inputSchema } of live?.tools ?? []) {
    const prepared = await gate.prepare({ inputSchema });
    if (prepared !== undefined && 'refused' in prepared)
      lines.push(
        `! ${server}:${name} every call is denied, its inputSchema cannot be checked: ${prepared.refused}`,
      );
  }
  return lines;
}

/** P2; what somebody else pinned in the meantime stays. */
async function takeBack(
  pins: PinStore,
  server: string,
  before: ServerPin | undefined,
  made: PinFile,
): Promise<void> {
  await pins.update((file) => {
    if (entryDigest(file, server) !== entryDigest(made, server)) return file;
    const { [server]: _, ...others } = file.servers;
    return { ...file, servers: before === undefined ? others : { ...others, [server]: before } };
  });
}

/** Tells its listeners when what tools there are, or which of them are trusted, is not what they were told last. */
class Announcer {
  readonly #directory: PinnedDirectory;
  readonly #listeners = new Set<() => void>();
  #told: string;

  constructor(directory: PinnedDirectory) {
    this.#directory = directory;
    this.#told = this.#digest();
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  announce(): void {
    const now = this.#digest();
    if (now === this.#told) return;
    this.#told = now;
    for (const listener of this.#listeners) listener();
  }

  #digest(): string {
    return digestJson(this.#directory.all().map(({ id, pin }) => ({ id, pin })));
  }
}

class RuntimePinning implements Pinning {
  readonly directory: PinnedDirectory;
  readonly refresh: () => Promise<void>;
  readonly #parts: PinningParts;
  readonly #live: LivePins;
  readonly #announcer: Announcer;
  readonly #checks = new Map<string, Promise<void>>();

  constructor(parts: PinningParts, live: LivePins) {
    this.#parts = parts;
    this.#live = live;
    this.directory = live.directory;
    this.refresh = live.refresh;
    this.#announcer = new Announcer(live.directory);
    live.onChanged((before, now) => {
      releaseOutdated(parts.downstreams(), before, now);
      this.#announcer.announce();
    });
  }

  async pin(server: string, expected?: string): Promise<PinResult> {
    const connection = this.#connection(server);
    const { signal } = new AbortController();
    const pins = this.#live.store;
    // Listed first: a drift is found, held and on record before anybody is shown it.
    await (await connection.session(signal)).tools(signal);
    await this.#checks.get(server);
    const before = (await pins.read()).servers[server];
    const report =
      expected === undefined
        ? await previewPin(connection, pins, signal)
        : await this.#write(connection, expected, before);
    await this.refresh();
    const pinned = (await pins.read()).servers[server];
    const held = before?.quarantine;
    return {
      server,
      // A server that went back to what was pinned differs in nothing, and is still to be released by a person.
      diff: [
        ...(held === undefined ? [] : [`${server}: quarantined (${held.reason}); pinning releases it`]),
        ...reportLines(report),
        ...(await uncheckable(this.#parts.gate, server, connection.listed())),
      ],
      tools: Object.keys(pinned?.tools ?? {}).sort(),
      written: expected !== undefined,
      digest: report.digest,
    };
  }

  onListed(server: string, list: LiveList): void {
    const pin = this.#live.file().servers[server];
    if (pin === undefined) return;
    const found = quarantineFor(comparePins(server, this.#connection(server).identity, pin, list));
    if (found === undefined) return;
    this.directory.hold(server, found.reason);
    this.#announcer.announce();
    this.#check(server, list);
  }

  onDrift(server: string): void {
    const list = this.#connection(server).listed();
    if (list !== undefined) this.#check(server, list);
  }

  onToolsChanged(listener: () => void): () => void {
    return this.#announcer.listen(listener);
  }

  async stop(): Promise<void> {
    this.#live.stop();
    await Promise.all(this.#checks.values());
  }

  #connection(server: string): Connection {
    const connection = this.#parts.downstreams().connection(server);
    if (connection !== undefined) return connection;
    throw new RuntimeError('NOT_FOUND', `There is no server ${server} in servers.yaml.`, { server });
  }

  async #write(connection: Connection, expected: string, before: ServerPin | undefined): Promise<PinReport> {
    const { name } = connection.server;
    const pins = this.#live.store;
    const report = await pinServer(connection, pins, expected, new AbortController().signal);
    const made = await pins.read();
    try {
      const diff = reportLines(report).slice(0, RECORDED_LINES);
      await this.#parts.record('tools_pinned', { server: name, digest: expected, diff });
    } catch (thrown) {
      await takeBack(pins, name, before, made);
      throw thrown;
    }
    return report;
  }

  /** One at a time for each server, in order. */
  #check(server: string, list: LiveList): void {
    const check = (this.#checks.get(server) ?? Promise.resolve())
      .then(() => this.#quarantine(server, list))
      .catch((thrown: unknown) => {
        const { message } = asRuntimeError(thrown);
        this.#parts.log('error', 'a quarantine could not be written; it holds here', {
          server,
          reason: message,
        });
      })
      .finally(() => {
        if (this.#checks.get(server) === check) this.#checks.delete(server);
      });
    this.#checks.set(server, check);
  }

  async #quarantine(server: string, list: LiveList): Promise<void> {
    const found = await verifyLive(this.#connection(server), list, this.#live.store);
    const { verdict, quarantine } = found;
    if (found.isNew && quarantine !== undefined) {
      const diff = quarantine.diff.slice(0, RECORDED_LINES);
      this.#parts.log('warn', 'tools of a server changed after they were pinned', { server, verdict, diff });
      await this.#parts.record('tools_quarantined', { server, reason: quarantine.reason, diff });
    }
    await this.refresh();
    this.directory.unhold(server);
    this.#announcer.announce();
  }
}

/** Reads the pin file; starts nothing. */
export async function openPinning(parts: PinningParts): Promise<Pinning> {
  const path = join(parts.workspace, '.agent-runtime', 'tools.lock.json');
  return new RuntimePinning(parts, await openLivePins({ ...parts, path }));
}
