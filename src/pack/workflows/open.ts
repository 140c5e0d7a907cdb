// Owns how the pack opens its workflows: over its own sessions as nodes, against what its configuration names and allows.
import type { PackDeps } from '../deps.ts';
import { assertMayCancel, assertMayResume } from '../managed/allowed.ts';
import { createHolds } from '../managed/hold.ts';
import type { ManagedPack } from '../managed/managed-sessions.ts';
import { knownNames } from './check-nodes.ts';
import type { Workflows } from './contract.ts';
import { createWorkflows } from './workflows.ts';

export function openWorkflows(deps: PackDeps, sessions: ManagedPack['nodes']): Workflows {
  const { config, store, clock, ids, kernel } = deps;
  const made = createWorkflows({
    store,
    clock,
    ids,
    agentId: config.agent.id,
    known: knownNames(config),
    sessions,
    holds: createHolds(deps),
    redact: (value) => kernel.redact(value),
  });
  return {
    ...made,
    async resume(caller, id, how, io) {
      if (how.reason !== 'wakeup') assertMayResume(config);
      return made.resume(caller, id, how, io);
    },
    async assertResumes(...args) {
      assertMayResume(config);
      return made.assertResumes(...args);
    },
    async cancel(...args) {
      assertMayCancel(config);
      return made.cancel(...args);
    },
  };
}
