// Owns the version that --version, clients and manifests are told: the one of package.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './context.ts';

export function version(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
