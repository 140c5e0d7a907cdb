// Owns the pin of the pack's manifest: shows whether the built code is what is pinned, and pins it with `--update`.
// Run it after a build; a changed pin needs another build.
import { readFileSync, writeFileSync } from 'node:fs';
import { MANIFEST_PIN } from '../dist/pack/manifest-pin.js';
import { packManifest } from '../dist/runtime/pack-manifest.js';

const FILE = new URL('../src/pack/manifest-pin.ts', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const { id, integrity } = packManifest(version);
const isPinned = MANIFEST_PIN.integrity === integrity && MANIFEST_PIN.version === version;

if (process.argv.includes('--update')) {
  const text = readFileSync(FILE, 'utf8')
    .replace(/version: '.*'/, `version: '${version}'`)
    .replace(/integrity: '.*'/, `integrity: '${integrity}'`);
  writeFileSync(FILE, text);
  console.log(isPinned ? 'unchanged' : `pinned ${id} ${version} ${integrity}; build again`);
} else {
  console.log(`${isPinned ? 'pinned' : 'NOT pinned'}: ${id} ${version} ${integrity}`);
  process.exitCode = isPinned ? 0 : 1;
}
