// Owns grants of delegation that can be taken back while a process runs: what was loaded, less what identity.yaml no longer
// grants. It only ever takes away, so no word of trust is needed; what a person adds waits for a restart.
//
// G1: the list is replaced and never changed, so that whoever holds it decides by one state.
// G2: a file that cannot be read as a configuration takes nothing away: a broken edit keeps what was loaded.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolNames } from './names.ts';
import { readParts } from './parts.ts';
import { Problems } from './problems.ts';
import type { DelegationGrant, RuntimeConfig } from './types.ts';

export interface LiveGrants {
  /** The configuration whose grants are those that still stand. */
  readonly config: RuntimeConfig;
  /** Looks at the file again if it may have changed. */
  refresh(): Promise<void>;
}

/** Names this state of the file; undefined: it cannot be seen. */
async function stateOf(path: string): Promise<string | undefined> {
  try {
    const { mtimeNs, ctimeNs, size, ino } = await stat(path, { bigint: true });
    return [mtimeNs, ctimeNs, size, ino].join(' ');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : undefined;
  }
}

const isSame = (a: DelegationGrant, b: DelegationGrant): boolean =>
  a.actor === b.actor && a.principal === b.principal && a.scope === b.scope;

/** What both list; without a list a grant covers what its scope names, which is the same in both. */
function narrowed(loaded: DelegationGrant, now: DelegationGrant): DelegationGrant {
  if (now.capabilities === undefined && loaded.capabilities === undefined) return loaded;
  // One of them lists nothing: what its scope names is not known to be what the other lists.
  const left = loaded.capabilities?.filter((id) => now.capabilities?.includes(id) === true) ?? [];
  return { ...loaded, capabilities: left };
}

/** The grants that the files hold now, with canonical ids; undefined: they cannot be read. */
async function grantsIn(directory: string): Promise<DelegationGrant[] | undefined> {
  const problems = new Problems();
  const { identity, capabilities } = (await readParts(directory, problems)).parts;
  if (problems.count > 0 || identity === undefined || capabilities === undefined) return undefined;
  const names = new ToolNames(capabilities);
  return identity.delegations.map(({ capabilities: listed, ...one }) =>
    listed === undefined ? one : { ...one, capabilities: listed.map((name) => names.find(name) ?? name) },
  );
}

/** Grants of a configuration that did not come from a file stand as they are. */
export async function openGrants(loaded: RuntimeConfig): Promise<LiveGrants> {
  const path = join(loaded.directory, 'identity.yaml');
  const all = loaded.identity.delegations;
  let standing: DelegationGrant[] = all;
  let seen = await stateOf(path);
  const isFixed = all.length === 0 || seen === 'absent' || seen === undefined;
  const identity = {
    ...loaded.identity,
    get delegations() {
      return standing;
    },
  };
  return {
    config: { ...loaded, identity },
    async refresh() {
      if (isFixed) return;
      const now = await stateOf(path);
      if (now === undefined || now === seen) return;
      const written = now === 'absent' ? [] : await grantsIn(loaded.directory);
      if (written === undefined) return;
      seen = now;
      standing = all.flatMap((one) => {
        const same = written.find((other) => isSame(one, other));
        return same === undefined ? [] : [narrowed(one, same)];
      });
    },
  };
}
