// Owns `init`: copies the bundled example into the workspace for its person to change. What exists is never touched. With
// --host it is that host's own file that is changed instead.
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import type { HostOptions } from '../hosts/install.ts';

const README = `# .agent-runtime

The state of this workspace.

| file              | what it is                                                    | commit it |
| ----------------- | ------------------------------------------------------------- | --------- |
| \`README.md\`       | this text                                                     | yes       |
| \`tools.lock.json\` | the tool definitions that a person accepted (\`capabilities pin\`) | yes       |
| \`runtime.db\`      | the journal: sessions, approvals, evidence                    | no        |

Keys and trust lie in the user's own state directory, never here.
Check the journal with \`agent-runtime evidence verify\`.
`;

const IGNORE = `# Only what people share about this workspace.
*
!.gitignore
!README.md
!tools.lock.json
`;

// Of the package, not of an agent: tools of its development.
const LEFT_OUT = new Set(['tools']);

async function filesOf(directory: string, isRoot = true): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !(isRoot && LEFT_OUT.has(entry.name))) {
      found.push(...(await filesOf(path, false)));
    } else if (entry.isFile()) {
      found.push(path);
    }
  }
  return found.sort();
}

/** False when the file was there already. */
async function unlessThere(write: () => Promise<void>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** What a person types after this, in order. */
function nextSteps({ workspace }: Context): [command: string, why: string][] {
  const where = workspace === process.cwd() ? '' : ` --workspace ${workspace}`;
  return [
    [
      `agent-runtime capabilities pin${where}`,
      'look at the tools of the example and accept them; none runs before',
    ],
    [`agent-runtime doctor${where}`, 'see whether anything is missing'],
    [`agent-runtime serve${where}`, 'the command for your MCP client to start'],
    [
      `agent-runtime trust${where}`,
      'after each change in configs/; `config check` says what is wrong with one',
    ],
  ];
}

export async function init(context: Context, options: HostOptions): Promise<Exit> {
  if (options.host !== undefined) {
    const { initHost } = await import('../hosts/install.ts');
    return initHost(context, options);
  }
  if (options.wrap !== undefined || options.undo !== undefined || options.yes !== undefined) {
    throw new RuntimeError('USAGE', '--wrap, --undo and --yes belong to --host.');
  }
  return copyExample(context);
}

async function copyExample(context: Context): Promise<Exit> {
  const { workspace, packageRoot, print } = context;
  const source = join(packageRoot, 'configs');
  const written: string[] = [];
  const kept: string[] = [];
  const note = (path: string, isNew: boolean): void => {
    (isNew ? written : kept).push(relative(workspace, path));
  };
  for (const from of await filesOf(source)) {
    const to = join(workspace, 'configs', relative(source, from));
    await mkdir(dirname(to), { recursive: true });
    note(to, await unlessThere(() => copyFile(from, to, constants.COPYFILE_EXCL)));
  }
  const state = join(workspace, '.agent-runtime');
  await mkdir(state, { recursive: true, mode: 0o700 });
  for (const [name, text] of [
    ['README.md', README],
    ['.gitignore', IGNORE],
  ] as const) {
    const to = join(state, name);
    note(to, await unlessThere(() => writeFile(to, text, { flag: 'wx' })));
  }
  const next = nextSteps(context);
  await print.result({ workspace, written, kept, next: next.map(([command]) => command) }, () =>
    [
      ...written.map((name) => `wrote ${name}`),
      ...kept.map((name) => `kept  ${name} (was there)`),
      '',
      'Next:',
      ...next.map(([command, why]) => `  ${command}\n      ${why}`),
    ].join('\n'),
  );
  return EXIT.ok;
}
