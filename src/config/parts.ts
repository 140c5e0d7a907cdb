// Owns the list of configuration files, and the reading of a directory into their typed parts.
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../base/digest.ts';
import type { JsonObject } from '../base/json.ts';
import { agentFile } from './files/agent.ts';
import type { AgentPart } from './files/agent.ts';
import { approvalsFile } from './files/approvals.ts';
import { capabilitiesFile } from './files/capabilities.ts';
import type { CapabilitiesPart } from './files/capabilities.ts';
import { controlsFile } from './files/controls.ts';
import type { ControlsPart } from './files/controls.ts';
import type { ConfigFile } from './files/file.ts';
import { identityFile } from './files/identity.ts';
import { memoryFile } from './files/memory.ts';
import type { MemoryPart } from './files/memory.ts';
import { policyFile } from './files/policy.ts';
import type { PolicyPart } from './files/policy.ts';
import { runtimeFile } from './files/runtime.ts';
import type { RuntimePart } from './files/runtime.ts';
import { serversFile } from './files/servers.ts';
import type { ServersPart } from './files/servers.ts';
import type { Problems } from './problems.ts';
import { MAX_YAML_BYTES } from './scan.ts';
import { didYouMean } from '../base/suggest.ts';
import type { ApprovalsConfig, IdentityConfig } from './types.ts';
import { readYaml } from './yaml.ts';

export interface Parts {
  agent: AgentPart;
  capabilities: CapabilitiesPart;
  policy: PolicyPart;
  identity: IdentityConfig;
  runtime: RuntimePart;
  servers: ServersPart;
  memory: MemoryPart;
  approvals: ApprovalsConfig;
  controls: ControlsPart;
}

type PartFiles = { readonly [K in keyof Parts]: ConfigFile<Parts[K]> };

export const CONFIG_FILES: PartFiles = {
  agent: agentFile,
  capabilities: capabilitiesFile,
  policy: policyFile,
  identity: identityFile,
  runtime: runtimeFile,
  servers: serversFile,
  memory: memoryFile,
  approvals: approvalsFile,
  controls: controlsFile,
};

/** One file as found: its words with defaults, and its words as written (absent: there is no such file). */
export interface FoundFile {
  name: string;
  tree: JsonObject;
  written?: Record<string, unknown>;
}

export interface FoundParts {
  /** Without the parts that had problems. */
  parts: Partial<Parts>;
  files: FoundFile[];
}

// Configuration of the source systems that a person may bring along.
const LATER_FILES: readonly string[] = [
  'controls.yaml',
  'rollout.yaml',
  'change.yaml',
  'artifacts.yaml',
  'retirement.yaml',
];

async function listYaml(directory: string, problems: Problems): Promise<string[] | undefined> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => /\.ya?ml$/i.test(name)).sort();
  } catch {
    problems.add('.', [], `the configuration directory ${directory} does not exist or cannot be read`);
    return undefined;
  }
}

function refuseUnknown(present: readonly string[], problems: Problems): void {
  const known = Object.values(CONFIG_FILES).map((file) => file.name);
  for (const name of present) {
    if (known.includes(name)) continue;
    if (LATER_FILES.includes(name)) {
      problems.add(name, [], `${name} is not supported yet: nothing would read it`);
      continue;
    }
    const guess = didYouMean(name.replace(/\.yml$/i, '.yaml').toLowerCase(), known);
    problems.add(name, [], `is not a configuration file${guess}; known files: ${known.join(', ')}`);
  }
}

/** At most `limit` bytes of a regular file, decoded strictly. Throws what the file system or the decoder throws. */
async function readText(path: string, limit: number): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(limit);
    let length = 0;
    for (let read = -1; read !== 0 && length < limit; length += read) {
      ({ bytesRead: read } = await handle.read(bytes, length, limit - length, length));
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } finally {
    await handle.close();
  }
}

async function readOne<T>(
  directory: string,
  file: ConfigFile<T>,
  problems: Problems,
): Promise<{ found: FoundFile; part: T } | undefined> {
  const path = join(directory, file.name);
  let text: string;
  try {
    // Opening a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) {
      problems.add(file.name, [], 'is not a regular file');
      return undefined;
    }
    text = await readText(path, MAX_YAML_BYTES + 1);
  } catch (cause) {
    const isText = cause instanceof TypeError;
    problems.add(file.name, [], isText ? 'is not UTF-8 text' : 'cannot be read');
    return undefined;
  }
  const yaml = await readYaml(file.name, text, path, problems);
  if (yaml === undefined) return undefined;
  problems.learn(file.name, yaml.places);
  const parsed = file.parse(yaml.value, problems);
  return parsed && { found: { name: file.name, tree: parsed.tree, written: yaml.value }, part: parsed.part };
}

async function readPart(
  key: keyof Parts,
  directory: string,
  isPresent: boolean,
  into: { found: FoundParts; problems: Problems },
): Promise<void> {
  const file: ConfigFile<unknown> = CONFIG_FILES[key];
  if (isPresent) {
    const one = await readOne(directory, file, into.problems);
    if (one === undefined) return;
    Object.assign(into.found.parts, { [key]: one.part });
    into.found.files.push(one.found);
  } else if (file.required) {
    into.problems.add(
      file.name,
      [],
      `is required: the configuration directory ${directory} has no such file`,
    );
  } else {
    const parsed = file.parse({}, into.problems);
    if (parsed === undefined) return;
    Object.assign(into.found.parts, { [key]: parsed.part });
    into.found.files.push({ name: file.name, tree: parsed.tree });
  }
}

/** Reads every file of the directory; what is wrong goes to `problems`. A file that is absent means its defaults. */
export async function readParts(directory: string, problems: Problems): Promise<FoundParts> {
  const found: FoundParts = { parts: {}, files: [] };
  const present = await listYaml(directory, problems);
  if (present === undefined) return found;
  refuseUnknown(present, problems);
  for (const key of Object.keys(CONFIG_FILES) as (keyof Parts)[]) {
    await readPart(key, directory, present.includes(CONFIG_FILES[key].name), { found, problems });
  }
  return found;
}

/** Digest of each model script, by its path as written; `missing` when it cannot be read. */
export async function scriptDigests(directory: string, runtime: RuntimePart): Promise<JsonObject> {
  const digests: JsonObject = {};
  for (const { script } of runtime.pack?.models.values() ?? []) {
    if (script === undefined) continue;
    const path = join(directory, script);
    try {
      const isFile = (await stat(path)).isFile();
      digests[script] = isFile ? sha256(await readText(path, 4 * MAX_YAML_BYTES)) : 'missing';
    } catch {
      digests[script] = 'missing';
    }
  }
  return digests;
}
