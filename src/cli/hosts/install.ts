// Owns `init --host`: the change to a host's own file is shown, asked about, backed up and made; `--undo` takes back the last.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import { showHidden } from '../../base/text.ts';
import { assertStateOutside } from '../context.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { openBackups } from './backups.ts';
import type { Backups } from './backups.ts';
import { makeFolder, readHostFile, removeHostFile, replaceHostFile } from './host-file.ts';
import type { HostFile } from './host-file.ts';
import { hostOf } from './host.ts';
import type { Host } from './host.ts';
import { diffOf, planFor } from './plan.ts';
import type { Plan } from './plan.ts';

export interface HostOptions extends CommonOptions {
  host?: string;
  wrap?: string[];
  undo?: boolean;
  yes?: boolean;
}

interface Place {
  context: Context;
  host: Host;
  file: HostFile;
  backups: Backups;
  options: HostOptions;
}

/** Shown first, on standard error or the terminal; true: it was agreed to. */
async function agreed(
  { context, file, options }: Place,
  diff: readonly string[],
  question: string,
): Promise<boolean> {
  const shown = [file.path, ...diff.map((line) => showHidden(line.replaceAll('\t', '  ')))].join('\n');
  if (options.yes === true) {
    context.print.remark(shown);
    return true;
  }
  const { confirm, findTerminal, showOn } = await import('../terminal.ts');
  const terminal = findTerminal();
  if (terminal === undefined) {
    context.print.remark(shown);
    throw new RuntimeError(
      'APPROVAL_REQUIRED',
      'Nobody can be asked here. Run the same command in a terminal, or add --yes.',
      { file: file.path, diff },
    );
  }
  showOn(terminal, shown, context);
  return confirm(terminal, question);
}

function toldText({ wrapped, left }: Pick<Plan, 'wrapped' | 'left'>): string[] {
  return [
    ...wrapped.map(({ name, as }) => `wrapped ${showHidden(name)} as ${as}`),
    ...left.map(({ name, why }) => `left    ${showHidden(name)}: it ${why}`),
  ];
}

function nextSteps({ context, host }: Place, { wrapped }: Pick<Plan, 'wrapped'>): string[] {
  const state = context.env.AGENT_RUNTIME_STATE;
  return [
    host.then,
    wrapped.length === 0
      ? `agent-runtime doctor --workspace ${context.workspace}`
      : 'each call asks until its tool has been classed: run the command in the file with --classify before --',
    ...(state === undefined || state === ''
      ? []
      : [
          'AGENT_RUNTIME_STATE is set here; the host must set it too, or it finds other trust and other keys',
        ]),
  ];
}

async function install(place: Place): Promise<Exit> {
  const { context, host, file, backups, options } = place;
  const { workspace, packageRoot, configDirectory, configSource, print } = context;
  const isNamed = configSource === 'flag' || configSource === 'environment';
  const plan = planFor(
    {
      ...{ host, file: file.path, workspace, wrap: options.wrap },
      program: { node: process.execPath, main: join(packageRoot, 'dist', 'cli', 'main.js') },
      config: isNamed ? configDirectory : undefined,
    },
    file.text,
  );
  const { diff, wrapped, left } = plan;
  const told = { host: host.id, file: file.path, wrapped, left };
  if (plan.after === file.text) {
    await print.result({ ...told, changed: false, diff }, () =>
      [`${file.path} needs no change.`, ...toldText(plan)].join('\n'),
    );
    return EXIT.ok;
  }
  if (!(await agreed(place, diff, `Write this to the file of ${host.label}?`))) return EXIT.refused;
  const backup = await backups.keep(file.text);
  await backups.note(file.text, plan.after, await makeFolder(file));
  await replaceHostFile(file, plan.after);
  const next = nextSteps(place, plan);
  await print.result(
    { ...told, changed: true, diff, ...(backup === undefined ? {} : { backup }), next },
    () =>
      [
        `wrote ${file.path}`,
        ...(backup === undefined ? [] : [`what it was: ${backup}`]),
        ...toldText(plan),
        '',
        'Next:',
        ...next.map((one) => `  ${one}`),
        `  agent-runtime init --host ${host.id} --undo --workspace ${workspace} takes it back`,
      ].join('\n'),
  );
  return EXIT.ok;
}

async function undo(place: Place): Promise<Exit> {
  const { context, host, file, backups } = place;
  const before = await backups.last(file.text);
  const diff = diffOf({ host, file: file.path }, file.text, before.text);
  if (!(await agreed(place, diff, `Put this file of ${host.label} back as it was?`))) return EXIT.refused;
  if (before.text === undefined) await removeHostFile(file, before.made);
  else await replaceHostFile(file, before.text);
  await backups.forgetLast(file.text);
  const done = before.text === undefined ? 'removed' : 'restored';
  await context.print.result(
    { host: host.id, file: file.path, undone: done, diff },
    () => `${done} ${file.path}`,
  );
  return EXIT.ok;
}

export async function initHost(context: Context, options: HostOptions): Promise<Exit> {
  const host = hostOf(options.host ?? '');
  if (options.undo === true && options.wrap !== undefined) {
    throw new RuntimeError('USAGE', '--undo takes back the last change, whatever it was; leave --wrap out.');
  }
  assertStateOutside(context);
  const { workspace, env, stateDirectory } = context;
  const file = await readHostFile(host, { workspace, env, home: homedir(), platform: process.platform });
  const backups = openBackups(stateDirectory, host, file.path);
  const place = { context, host, file, backups, options };
  return options.undo === true ? undo(place) : install(place);
}
