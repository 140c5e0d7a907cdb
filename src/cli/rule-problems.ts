// Owns where in policy.yaml a condition stands that does not compile. The kernel knows the rule only; a person needs the line.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asRuntimeError } from '../base/errors.ts';
import { Problems } from '../config/problems.ts';
import type { PathPart } from '../config/problems.ts';
import type { PolicyLayer, RuntimeConfig } from '../config/types.ts';
import { readYaml } from '../config/yaml.ts';
import { compileCel } from '../kernel/policy/cel.ts';

const FILE = 'policy.yaml';

function layersOf({ policy }: RuntimeConfig): { layer: PolicyLayer; path: PathPart[] }[] {
  const named = (key: 'lanes' | 'tasks'): { layer: PolicyLayer; path: PathPart[] }[] =>
    Object.entries(policy[key]).map(([name, layer]) => ({ layer, path: ['policy', key, name] }));
  return [{ layer: policy.workspace, path: ['policy', 'workspace'] }, ...named('lanes'), ...named('tasks')];
}

/** Throws CONFIGURATION_ERROR with every condition that does not compile, each at its place. */
export async function assertConditions(config: RuntimeConfig): Promise<void> {
  const wrong: { path: PathPart[]; message: string }[] = [];
  for (const { layer, path } of layersOf(config)) {
    // Those of policy.capabilities are rules too, and stand elsewhere; one rule of the file may be in force as two of its id.
    const written = new Map(layer.rules.map((rule) => [rule.id, rule]));
    const inFile = [...written.values()].filter(({ id }) => !id.startsWith('capability.'));
    for (const [at, { id, when }] of inFile.entries()) {
      if (when === undefined) continue;
      try {
        compileCel(id, when);
      } catch (thrown) {
        wrong.push({ path: [...path, 'rules', at, 'when'], message: asRuntimeError(thrown).message });
      }
    }
  }
  if (wrong.length === 0) return;
  const problems = new Problems();
  const path = join(config.directory, FILE);
  const read = await readYaml(FILE, await readFile(path, 'utf8'), path, new Problems());
  if (read !== undefined) problems.learn(FILE, read.places);
  for (const one of wrong) problems.add(FILE, one.path, one.message);
  problems.throwIfAny(config.directory);
}
