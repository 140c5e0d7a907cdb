// Owns pinning: taking what a server offers as accepted by a person, and finding later that it offers something else.
// A change of anything pinned quarantines the whole server, because whoever changes one tool unasked is not trusted
// with the others; a tool that is new is merely unpinned, and so denied.
import { digestJson } from '../base/digest.ts';
import { canonicalJson } from '../base/json.ts';
import type { JsonValue } from '../base/json.ts';
import { RuntimeError } from '../base/errors.ts';
import { showCut } from '../base/text.ts';
import { RESERVED_SERVER } from '../kernel/catalog/names.ts';
import type { Connection } from './connection.ts';
import type { LiveList, LiveTool } from './definitions.ts';
import { diffDefinitions } from './diff.ts';
import { pinDigest } from './pin-file.ts';
import type { PinFile, PinStore, Quarantine, ServerPin, ToolPin } from './pin-file.ts';

export interface PinReport {
  server: string;
  added: string[];
  /** What each added tool says of itself: whoever accepts a tool has to have seen it. */
  says: Record<string, string>;
  removed: string[];
  /** Tools whose definition is another, with what changed. */
  changed: { tool: string; diff: string[] }[];
  /** The command, arguments, directory or address is another. */
  identityChanged: boolean;
  /** The server says another version of itself than when it was pinned. */
  versionChanged?: { was: string; now: string };
  /** Offered, but not fit to be pinned. */
  refused: { name: string; why: string }[];
  /** Of what is offered and of the pin that it was compared with: whoever agrees, agrees to exactly this. */
  digest: string;
}

export interface Verification extends PinReport {
  /** `ok` also when tools were added; `unpinned`: the server was never pinned. */
  verdict: 'ok' | 'quarantined' | 'unpinned';
  quarantine?: Quarantine;
  /** This comparison wrote the quarantine down; otherwise it stood, or follows from the configuration. */
  isNew: boolean;
}

function sameIdentity(a: ServerPin['identity'], b: ServerPin['identity']): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** What the live list is against a pin; without a pin everything is added. Pure. */
export function comparePins(
  server: string,
  identity: ServerPin['identity'],
  pin: ServerPin | undefined,
  live: LiveList,
): PinReport {
  const pinned = new Map(Object.entries(pin?.tools ?? {}));
  const offered = new Map(live.tools.map((tool) => [tool.name, tool]));
  const changed: PinReport['changed'] = [];
  for (const [tool, now] of offered) {
    const was = pinned.get(tool);
    const diff = was === undefined ? [] : diffDefinitions(was.definition, now);
    if (diff.length > 0) changed.push({ tool, diff });
  }
  const added = [...offered.keys()].filter((tool) => !pinned.has(tool));
  return {
    server,
    added,
    says: Object.fromEntries(added.map((tool) => [tool, offered.get(tool)?.description ?? ''])),
    removed: [...pinned.keys()].filter((tool) => !offered.has(tool)).sort(),
    changed,
    identityChanged: pin !== undefined && !sameIdentity(pin.identity, identity),
    ...versionChange(pin, live),
    refused: live.refused,
    digest: digestJson({
      // A quarantine is left out: it is what a person who pins looks past, knowingly.
      pinned:
        pin === undefined
          ? null
          : { identity: pin.identity, version: pin.version ?? null, tools: digests(pin.tools) },
      offered: {
        identity,
        version: live.version ?? null,
        tools: digests(toolPins(identity, live.tools)),
        refused: live.refused,
      },
    }),
  };
}

function versionChange(
  pin: ServerPin | undefined,
  { version: now = 'none' }: LiveList,
): Pick<PinReport, 'versionChanged'> {
  const was = pin?.version;
  return was === undefined || was === now ? {} : { versionChanged: { was, now } };
}

function digests(tools: Record<string, ToolPin>): Record<string, string> {
  return Object.fromEntries(Object.entries(tools).map(([name, { digest }]) => [name, digest]));
}

const SAYS_CHARS = 500;

function versionText({ was, now }: { was: string; now: string }): string {
  return `it says version ${showCut(now, 80)}, and was pinned as ${showCut(was, 80)}`;
}

/** The report as lines for a person. */
export function reportLines(report: PinReport): string[] {
  return [
    ...(report.identityChanged
      ? [`${report.server}: another program, directory or address than was pinned`]
      : []),
    ...(report.versionChanged === undefined
      ? []
      : [`~ ${report.server}: ${versionText(report.versionChanged)}`]),
    ...report.added.map(
      (tool) => `+ ${report.server}:${tool}  ${showCut(report.says[tool] ?? '', SAYS_CHARS)}`,
    ),
    ...report.removed.map((tool) => `- ${report.server}:${tool}`),
    ...report.changed.flatMap(({ tool, diff }) => diff.map((line) => `~ ${report.server}:${tool}${line}`)),
    ...report.refused.map(({ name, why }) => `! ${report.server}:${name} refused: ${why}`),
  ];
}

function toolPins(identity: ServerPin['identity'], tools: readonly LiveTool[]): Record<string, ToolPin> {
  return Object.fromEntries(
    tools.map((definition) => [definition.name, { digest: pinDigest(identity, definition), definition }]),
  );
}

function withServer(file: PinFile, server: string, pin: ServerPin): PinFile {
  return { ...file, servers: { ...file.servers, [server]: pin } };
}

function pinOf(file: PinFile, server: string): ServerPin | undefined {
  return Object.hasOwn(file.servers, server) ? file.servers[server] : undefined;
}

async function liveList(connection: Connection, signal: AbortSignal): Promise<LiveList> {
  const session = await connection.session(signal);
  return session.tools(signal);
}

/**
 * Accepts what the server offers, and lifts a quarantine: only on a person's word, and only what that person was shown,
 * which `expected`, the digest of the report, says. Writes nothing when it throws CONFLICT, because server or pin file
 * are not what was shown, or CONFIGURATION_ERROR, for a reserved name of a server.
 */
export async function pinServer(
  connection: Connection,
  pins: PinStore,
  expected: string,
  signal: AbortSignal,
): Promise<PinReport> {
  const { name } = connection.server;
  if (name === RESERVED_SERVER) {
    throw new RuntimeError('CONFIGURATION_ERROR', `the server name ${name} is reserved`, {
      field: 'servers',
    });
  }
  const live = await liveList(connection, signal);
  const { identity } = connection;
  let report: PinReport | undefined;
  await pins.update((file) => {
    report = comparePins(name, identity, pinOf(file, name), live);
    if (report.digest !== expected) throw notWhatWasShown(report);
    const version = live.version === undefined ? {} : { version: live.version };
    return withServer(file, name, { identity, ...version, tools: toolPins(identity, live.tools) });
  });
  return report ?? comparePins(name, identity, undefined, live);
}

function notWhatWasShown({ server, digest }: PinReport): RuntimeError {
  return new RuntimeError(
    'CONFLICT',
    `What ${server} offers, or its pin, is no longer what was shown. Nothing was pinned; look again.`,
    { server, digest },
  );
}

/** What pinning would change now; writes nothing. */
export async function previewPin(
  connection: Connection,
  pins: PinStore,
  signal: AbortSignal,
): Promise<PinReport> {
  const { name } = connection.server;
  const live = await liveList(connection, signal);
  return comparePins(name, connection.identity, pinOf(await pins.read(), name), live);
}

/** What a list that deviates from the pin means for the server; additions mean nothing. Pure. */
export function quarantineFor(report: PinReport): Quarantine | undefined {
  const tools = [...report.changed.map(({ tool }) => tool), ...report.removed];
  if (report.identityChanged) {
    return {
      reason: `the server ${report.server} is not the program that was pinned`,
      diff: reportLines(report),
    };
  }
  if (tools.length === 0) {
    if (report.versionChanged === undefined) return undefined;
    const reason = `the server ${report.server} changed after it was pinned: ${versionText(report.versionChanged)}`;
    return { reason, diff: reportLines(report) };
  }
  const named = tools.slice(0, 5).join(', ');
  const rest = tools.length > 5 ? ` and ${tools.length - 5} more` : '';
  return {
    reason: `the server ${report.server} changed after it was pinned: ${named}${rest}`,
    diff: reportLines(report),
  };
}

/**
 * Compares a list that the server gave with its pin and writes a quarantine down; one that stands is neither lifted nor
 * replaced. Another program than was pinned is not written: it follows from the configuration, and goes with it.
 */
export async function verifyLive(
  connection: Connection,
  live: LiveList,
  pins: PinStore,
): Promise<Verification> {
  const { name } = connection.server;
  const pin = pinOf(await pins.read(), name);
  const report = comparePins(name, connection.identity, pin, live);
  if (pin === undefined) return { ...report, verdict: 'unpinned', isNew: false };
  const found = pin.quarantine ?? quarantineFor(report);
  if (found === undefined) return { ...report, verdict: 'ok', isNew: false };
  let isNew = false;
  if (pin.quarantine === undefined && !report.identityChanged) {
    await pins.update((file) => {
      const current = pinOf(file, name);
      // Pinned again in the meantime: that person has seen something newer than this comparison.
      isNew =
        current !== undefined &&
        canonicalJson(current as unknown as JsonValue) === canonicalJson(pin as unknown as JsonValue);
      return isNew && current !== undefined
        ? withServer(file, name, { ...current, quarantine: found })
        : file;
    });
  }
  return { ...report, verdict: 'quarantined', quarantine: found, isNew };
}
