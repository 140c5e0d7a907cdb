// Owns `wrap`: an existing MCP server, a program or an address, behind the runtime with no configuration file. Its tools are pinned as they are at the
// first start; each call asks a person until the tools have been classed once.
import { digestJson } from '../../base/digest.ts';
import { RuntimeError } from '../../base/errors.ts';
import { serverIdentity } from '../../capabilities/pin-file.ts';
import type { ServerPin, ToolPin } from '../../capabilities/pin-file.ts';
import { portableName } from '../../base/tool-name.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { Log, PinResult, RuntimeHandle } from '../../runtime/options.ts';
import type { NameMode } from '../../server/index.ts';
import { assertStateOutside } from '../context.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { createLog } from '../log.ts';
import type { LogLevel } from '../log.ts';
import { pathTokens, readPins } from '../pins.ts';
import { cell, table } from '../print.ts';
import { classesInForce, openClasses, suggestion } from '../wrap/classes.ts';
import type { Classed, ClassStore, ToolClass } from '../wrap/classes.ts';
import { loadGenerated } from '../wrap/generated.ts';
import { wrapTarget } from '../wrap/target.ts';
import type { WrapFlags, WrapTarget } from '../wrap/target.ts';
import { callersOf } from '../callers.ts';
import { version } from '../version.ts';
import { carry, serveStdio, takeStdout } from './serve.ts';

export interface WrapOptions extends CommonOptions, WrapFlags {
  classify?: boolean;
  yes?: boolean;
  trustAnnotations?: boolean;
  toolNames: NameMode;
  logLevel: LogLevel;
}

type Pins = Readonly<Record<string, ToolPin>>;

// Stands for the tools while nobody has asked the server for them.
const UNLISTED: Pins = {
  unlisted: {
    digest: `sha256:${'0'.repeat(64)}`,
    definition: { name: 'unlisted', inputSchema: { type: 'object' } },
  },
};

interface Wrapping {
  context: Context;
  target: WrapTarget;
  classes: ClassStore;
  log: Log;
}

/** Tools that can be offered; of two that a model API could not tell apart, the first. */
function usable({ name }: WrapTarget, { tools }: ServerPin): Pins {
  const taken = new Set<string>();
  const kept = Object.entries(tools).filter(([tool]) => {
    const portable = portableName(`${name}:${tool}`);
    if (!/^[\w][\w./-]{0,63}$/.test(tool) || taken.has(portable)) return false;
    taken.add(portable);
    return true;
  });
  return Object.fromEntries(kept);
}

/** What is left out is said, because nobody sees it anywhere else. */
function offered({ target, log }: Wrapping, pin: ServerPin): Pins {
  const pins = usable(target, pin);
  const left = Object.keys(pin.tools).filter((tool) => !Object.hasOwn(pins, tool));
  if (left.length > 0) {
    log('warn', 'tools left out: their names cannot be used, or are the same as another to a model API', {
      server: target.name,
      tools: left,
    });
  }
  return pins;
}

async function pinned({ context, target }: Wrapping): Promise<ServerPin | undefined> {
  const config = await loadGenerated(context, target, UNLISTED, new Map());
  const server = config.servers[target.name];
  const pin = (await readPins(context, undefined)).servers[target.name];
  if (server === undefined || pin === undefined) return undefined;
  const tokens = pathTokens(context, config);
  return digestJson({ ...pin.identity }) === digestJson({ ...serverIdentity(server, tokens) })
    ? pin
    : undefined;
}

async function withRuntime<T>(
  { context, log }: Wrapping,
  config: RuntimeConfig,
  work: (runtime: RuntimeHandle) => Promise<T>,
): Promise<T> {
  const { createRuntime } = await import('../../runtime/runtime.ts');
  const { workspace, stateDirectory, env, clock, ids } = context;
  const runtime = await createRuntime({ config, workspace, stateDirectory, env, clock, ids, log });
  try {
    return await work(runtime);
  } finally {
    await runtime.close();
  }
}

/** Asks the server for its tools; `accept` says whether what it shows is to be pinned. */
async function look(
  wrapping: Wrapping,
  pins: Pins,
  accept: (seen: PinResult) => Promise<boolean>,
): Promise<ServerPin | undefined> {
  const { context, target } = wrapping;
  const config = await loadGenerated(context, target, pins, new Map());
  await withRuntime(wrapping, config, async (runtime) => {
    const seen = await runtime.pin(target.name);
    if (seen.diff.length > 0 && (await accept(seen))) await runtime.pin(target.name, seen.digest);
  });
  return (await readPins(context, undefined)).servers[target.name];
}

/** The tools as they were accepted; those of the first start are taken as they are, and ask. */
async function knownTools(wrapping: Wrapping): Promise<Pins> {
  const { target, log } = wrapping;
  const before = await pinned(wrapping);
  if (before !== undefined) return offered(wrapping, before);
  const now = await look(wrapping, UNLISTED, async () => true);
  if (now === undefined || Object.keys(now.tools).length === 0) {
    throw new RuntimeError('DOWNSTREAM_UNAVAILABLE', `${target.name} offers no tool that can be used.`);
  }
  // Also where the name has a pin, of another program or of one that was pinned with its directory.
  log('warn', 'pinned as it is now: each call asks a person until the tools are classed (wrap --classify)', {
    server: target.name,
    tools: Object.keys(now.tools).length,
  });
  return offered(wrapping, now);
}

async function chosen(
  wrapping: Wrapping,
  pins: Pins,
  { yes }: WrapOptions,
): Promise<Map<string, ToolClass> | undefined> {
  const { target, context } = wrapping;
  const suggested = new Map(
    Object.entries(pins).map(([tool, pin]) => [tool, suggestion(target, tool, pin)] as const),
  );
  if (yes === true) return suggested;
  const { findTerminal, chooseSome, showOn } = await import('../terminal.ts');
  const terminal = findTerminal();
  if (terminal === undefined) {
    throw new RuntimeError(
      'APPROVAL_REQUIRED',
      'Nobody can be asked here. Run the same command in a terminal, or add --yes to take what is suggested.',
    );
  }
  showOn(
    terminal,
    `${target.name} has ${suggested.size} tools. Every tool that is not chosen asks you at each call.`,
    context,
  );
  const free = await chooseSome(
    terminal,
    'Which may run without asking?',
    Object.entries(pins).map(([tool, pin]) => ({
      value: tool,
      hint: cell(pin.definition.description ?? '', 80),
      chosen: suggested.get(tool) === 'allow',
    })),
  );
  return free && new Map([...suggested.keys()].map((tool) => [tool, free.includes(tool) ? 'allow' : 'ask']));
}

/** What is new or changed is shown before it is pinned. */
async function accepts(
  { context, target }: Wrapping,
  seen: PinResult,
  { yes }: WrapOptions,
): Promise<boolean> {
  const shown = [`${target.name} as it is now:`, ...seen.diff.map((line) => `  ${cell(line, 2000)}`)].join(
    '\n',
  );
  const { confirm, findTerminal, showOn } = await import('../terminal.ts');
  const terminal = findTerminal();
  if (yes === true || terminal === undefined) {
    context.print.remark(shown);
    return yes === true;
  }
  showOn(terminal, shown, context);
  return confirm(terminal, 'Take these tools as they are now?');
}

/** One list, answered once. */
async function classify(wrapping: Wrapping, options: WrapOptions): Promise<Exit> {
  const { context, target, classes } = wrapping;
  const before = await pinned(wrapping);
  const known = before === undefined ? UNLISTED : usable(target, before);
  const now = await look(wrapping, known, (seen) => accepts(wrapping, seen, options));
  const pins = now === undefined ? {} : offered(wrapping, now);
  const made = await chosen(wrapping, pins, options);
  if (made === undefined) return EXIT.refused;
  const tools: Record<string, Classed> = Object.fromEntries(
    Object.entries(pins).map(([tool, pin]) => [tool, { class: made.get(tool) ?? 'ask', pin: pin.digest }]),
  );
  await classes.write(tools);
  const rows = [...made].map(([tool, one]) => [`${target.name}:${tool}`, one]);
  await context.print.result({ server: target.name, tools: Object.fromEntries(made) }, () =>
    table(['tool', 'class'], rows),
  );
  return EXIT.ok;
}

async function serveWrapped(wrapping: Wrapping, options: WrapOptions): Promise<Exit> {
  const { context, target, classes, log } = wrapping;
  const pins = await knownTools(wrapping);
  const inForce = classesInForce(pins, await classes.read(), options.trustAnnotations === true);
  const config = await loadGenerated(context, target, pins, inForce);
  return carry({
    ...{ context, config, log },
    options: { tools: 'gateway', toolNames: options.toolNames, version: version() },
    callers: callersOf(context, config, { log }),
    open: async (serving) => {
      const server = await serveStdio(serving);
      // Finds at once what changed since the pin, and quarantines it; a call would find it too, but later.
      serving.runtime.pin(target.name).catch((error: unknown) => {
        log('warn', 'the wrapped server cannot be asked for its tools', { error });
      });
      return server;
    },
  });
}

export async function wrap(context: Context, options: WrapOptions, command: unknown): Promise<Exit> {
  assertStateOutside(context);
  const target = wrapTarget(command as string[], options, { ...context, directory: () => process.cwd() });
  const classes = openClasses(context, target);
  if (options.classify === true) {
    const { log, settled } = createLog('warn', context.env);
    try {
      return await classify({ context, target, classes, log }, options);
    } finally {
      await settled();
    }
  }
  takeStdout();
  const { log, settled } = createLog(options.logLevel, context.env);
  try {
    return await serveWrapped({ context, target, classes, log }, options);
  } finally {
    await settled();
  }
}
