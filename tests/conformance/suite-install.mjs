// Owns what conformance needs beside the product: both releases of the public suite, a Node that they run on, and the SDK's
// own everything-server as they test it, its digest fixed beside it.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sideInstall } from '../../scripts/lib/side-install.mjs';

const HERE = fileURLToPath(new URL('./', import.meta.url));
// The suite reads files in a way that Node learned with 22.
const OLDEST_NODE = 22;

/**
 * The SDK's server as its file says, and one whose tools and prompts have lost the `test_` that our gateway puts before them, because
 * it is the name of the server there. Nothing else differs, so what fails behind us and not beside us is ours.
 */
async function writeServers(folder) {
  const text = await readFile(join(HERE, 'everything-server.ts.txt'), 'utf8');
  const { sha256 } = JSON.parse(await readFile(join(HERE, 'everything-server.json'), 'utf8'));
  if (createHash('sha256').update(text).digest('hex') !== sha256) {
    throw new Error('everything-server.ts.txt is not the file that everything-server.json names');
  }
  const direct = join(folder, 'everything-server.ts');
  const behind = join(folder, 'everything-behind.ts');
  await writeFile(direct, text);
  await writeFile(behind, withoutPrefix(text));
  return { direct, behind };
}

/** Each tool and prompt registered under `test_…` loses that prefix. */
function withoutPrefix(text) {
  return text.replaceAll(/(register(?:Tool|Prompt)\(\s*')test_/g, '$1');
}

/** Installs once; `say` hears of it. */
export async function installSuites(say) {
  const from = join(HERE, 'side');
  const { folder, node } = await sideInstall({ name: 'conformance', from, oldestNode: OLDEST_NODE, say });
  const suite = (name) => join(folder, 'node_modules', name, 'dist', 'index.js');
  return {
    node,
    servers: await writeServers(folder),
    suites: { release: suite('conformance-release'), next: suite('conformance-next') },
  };
}
