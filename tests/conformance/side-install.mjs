// Owns what conformance needs beside the product: both releases of the public suite, a Node that they run on, and the SDK's
// own everything-server as they test it. Installed on demand from the package registry, each version and its digest
// fixed in the lock file here, into a folder that git ignores; no install or run of the product asks for it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('./', import.meta.url));
export const CACHE = fileURLToPath(new URL('../../.cache/conformance/', import.meta.url));
const FILES = ['package.json', 'package-lock.json'];
// The suite reads files in a way that Node learned with 22.
const OLDEST_NODE = 22;

async function contents(directory) {
  const texts = await Promise.all(
    FILES.map((name) => readFile(join(directory, name), 'utf8').catch(() => '')),
  );
  return texts.join('\0');
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      shell: process.platform === 'win32',
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args[0]} ended with ${code}: ${said.slice(-2000)}`));
    });
  });
}

function nodeBinary() {
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) return process.execPath;
  const found = join(CACHE, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(found)) return found;
  throw new Error(
    `the suite needs Node ${OLDEST_NODE}, and none is packed for ${process.platform} ${process.arch}: run this with one`,
  );
}

/**
 * The SDK's server as its file says, and one whose tools and prompts have lost the `test_` that our gateway puts before them, because
 * it is the name of the server there. Nothing else differs, so what fails behind us and not beside us is ours.
 */
async function writeServers() {
  const text = await readFile(join(HERE, 'everything-server.ts.txt'), 'utf8');
  const { sha256 } = JSON.parse(await readFile(join(HERE, 'everything-server.json'), 'utf8'));
  if (createHash('sha256').update(text).digest('hex') !== sha256) {
    throw new Error('everything-server.ts.txt is not the file that everything-server.json names');
  }
  const direct = join(CACHE, 'everything-server.ts');
  const behind = join(CACHE, 'everything-behind.ts');
  await writeFile(direct, text);
  await writeFile(behind, withoutPrefix(text));
  return { direct, behind };
}

/** Each tool and prompt registered under `test_…` loses that prefix. */
export function withoutPrefix(text) {
  return text.replaceAll(/(register(?:Tool|Prompt)\(\s*')test_/g, '$1');
}

/** Installs once; `say` hears of it. */
export async function sideInstall(say) {
  await mkdir(CACHE, { recursive: true });
  const installed = join(CACHE, 'installed');
  const wanted = await contents(HERE + 'side');
  if ((await readFile(installed, 'utf8').catch(() => '')) !== wanted) {
    say('installing the conformance suite and its Node into .cache/conformance');
    await Promise.all(FILES.map((name) => copyFile(join(HERE, 'side', name), join(CACHE, name))));
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', CACHE]);
    await writeFile(installed, wanted);
  }
  const suite = (name) => join(CACHE, 'node_modules', name, 'dist', 'index.js');
  return {
    node: nodeBinary(),
    servers: await writeServers(),
    suites: { release: suite('conformance-release'), next: suite('conformance-next') },
  };
}
