// Owns `capabilities list | show | agent | pin`.
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import { agentView } from '../../inspect/agent.ts';
import { capabilityViews, inspectCapability } from '../../inspect/capabilities.ts';
import { createGate } from '../../kernel/policy/gate.ts';
import type { PinResult, RuntimeHandle } from '../../runtime/options.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { createLog } from '../log.ts';
import { readDirectory } from '../pins.ts';
import { cell, facts, listTable } from '../print.ts';
import { loadAny, loadTrusted } from '../trusted-config.ts';

const COLUMNS = [
  'id',
  'mode',
  'risk_tier',
  'approval_required',
  'in_inventory',
  'pin',
  'owner',
  'unavailable_because',
] as const;

export async function listCapabilities(context: Context): Promise<Exit> {
  const config = await loadAny(context);
  const directory = await readDirectory(context, config, {});
  const items = capabilityViews({ config, directory });
  await context.print.result({ items }, () =>
    listTable(
      COLUMNS.map((name) => name.replaceAll('_', ' ')),
      items.map((item) => COLUMNS.map((name) => item[name])),
    ),
  );
  return EXIT.ok;
}

/** `name  value` lines, a group of facts as lines of its own. */
function shown(value: JsonObject): string {
  const flat = Object.entries(value).filter(([, one]) => !isObject(one));
  const groups = Object.entries(value).filter(([, one]) => isObject(one)) as [string, JsonObject][];
  return [facts(flat), ...groups.map(([name, group]) => `\n${name}\n${facts(Object.entries(group))}`)].join(
    '\n',
  );
}

export async function showCapability(context: Context, id: string): Promise<Exit> {
  const config = await loadAny(context);
  const directory = await readDirectory(context, config, {});
  const caller = localCaller(config.identity);
  const view = inspectCapability({ config, directory, gate: createGate(config) }, caller, id);
  await context.print.result(view, () => shown(view.state));
  return EXIT.ok;
}

/** As text, every tool by its name; as JSON, with all its fields too. */
export async function showAgent(context: Context): Promise<Exit> {
  const config = await loadAny(context);
  const directory = await readDirectory(context, config, {});
  const view = agentView({ config, directory });
  const { catalog_capabilities: _whole, ...told } = view;
  await context.print.result(view, () => shown(told));
  return EXIT.ok;
}

export interface PinCommandOptions extends CommonOptions {
  yes?: boolean;
}

function changes(pinned: PinResult): string {
  return [`${cell(pinned.server)} would change:`, ...pinned.diff.map((line) => `  ${cell(line, 2000)}`)].join(
    '\n',
  );
}

async function agreed(context: Context, seen: PinResult, yes: boolean): Promise<boolean> {
  const { confirm, findTerminal, showOn } = await import('../terminal.ts');
  const terminal = findTerminal();
  if (yes) {
    context.print.remark(changes(seen));
    return true;
  }
  if (terminal === undefined) {
    context.print.remark(changes(seen));
    context.print.remark(
      `Nobody can be asked here, so nothing is pinned. Accept this with: agent-runtime capabilities pin ${cell(seen.server)} --yes`,
    );
    return false;
  }
  showOn(terminal, changes(seen), context);
  return confirm(terminal, `Pin the tools of ${cell(seen.server)} as they are now?`);
}

async function pinOne(
  context: Context,
  runtime: RuntimeHandle,
  server: string,
  yes: boolean,
): Promise<PinResult> {
  const seen = await runtime.pin(server);
  if (seen.diff.length === 0) return seen;
  return (await agreed(context, seen, yes)) ? runtime.pin(server, seen.digest) : seen;
}

export async function pinCapabilities(
  context: Context,
  server: string | undefined,
  options: PinCommandOptions,
): Promise<Exit> {
  const config = await loadTrusted(context);
  const servers = Object.values(config.servers)
    .map((one) => one.name)
    .sort();
  if (server !== undefined && !servers.includes(server)) {
    throw new RuntimeError('NOT_FOUND', `No such server: ${cell(server)}; known: ${servers.join(', ')}`);
  }
  const { createRuntime } = await import('../../runtime/runtime.ts');
  const { workspace, stateDirectory, env, clock, ids } = context;
  const { log } = createLog('warn', env);
  const runtime = await createRuntime({ config, workspace, stateDirectory, env, clock, ids, log });
  try {
    const items: PinResult[] = [];
    for (const name of server === undefined ? servers : [server]) {
      items.push(await pinOne(context, runtime, name, options.yes === true));
    }
    await context.print.result({ items }, () =>
      items
        .map(
          (one) =>
            `${cell(one.server)}: ${one.written ? 'pinned' : one.diff.length === 0 ? 'as pinned' : 'left as it was'}`,
        )
        .join('\n'),
    );
    return items.every((one) => one.written || one.diff.length === 0) ? EXIT.ok : EXIT.refused;
  } finally {
    await runtime.close();
  }
}
