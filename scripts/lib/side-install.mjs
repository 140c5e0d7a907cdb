// Owns installs beside the product: packages that only a check needs, on demand from the package registry, each version and
// its digest fixed in a lock file of ours, into a folder that git ignores. No install or run of the product asks for it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
const FILES = ['package.json', 'package-lock.json'];
// Packages may need a newer Node than this one, and then bring it along; `npm run` hands on our own rule against that.
const CI_FLAGS = ['--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false'];

async function contents(directory) {
  const texts = FILES.map((name) => readFile(join(directory, name), 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\0');
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const options = { stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' };
    const child = spawn(command, args, options);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args[0]} ended with ${code}: ${said.slice(-2000)}`));
    });
  });
}

/** A Node of at least that age: this one, or the one among the packages. */
function nodeIn(folder, oldest) {
  if (Number(process.versions.node.split('.')[0]) >= oldest) return process.execPath;
  const found = join(folder, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(found)) return found;
  throw new Error(`Node ${oldest} is needed, and none is packed for ${process.platform} ${process.arch}`);
}

/**
 * Installs once what the lock file in `from` names, under the given name; `say` hears of it. Answers with the folder and a
 * Node that its packages run on.
 */
export async function sideInstall({ name, from, oldestNode, say }) {
  const folder = join(CACHE, name);
  await mkdir(folder, { recursive: true });
  const installed = join(folder, 'installed');
  const wanted = await contents(from);
  if ((await readFile(installed, 'utf8').catch(() => '')) !== wanted) {
    say(`installing ${name} into .cache/${name}`);
    await Promise.all(FILES.map((file) => copyFile(join(from, file), join(folder, file))));
    await run('npm', ['ci', ...CI_FLAGS, '--prefix', folder]);
    await writeFile(installed, wanted);
  }
  return { folder, node: nodeIn(folder, oldestNode) };
}
