// Owns the joining of the servers with what is pinned of their tools: each tells the other what it sees.
import type { Clock } from '../base/clock.ts';
import { createDownstreams } from '../capabilities/downstreams.ts';
import type { Downstreams } from '../capabilities/downstreams.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { LearningRedactor } from '../kernel/evidence/redact.ts';
import type { Gate } from '../kernel/policy/gate.ts';
import type { Sandbox } from '../kernel/sandbox/contract.ts';
import type { Store } from '../store/contract.ts';
import type { Log, RuntimeOptions } from './options.ts';
import { openPinning } from './pinning.ts';
import type { Pinning } from './pinning.ts';
import { pathTokens, poolOptions, secretsOut } from './room-options.ts';
import { workspaceRecorder } from './workspace-record.ts';

export interface ServerParts {
  options: RuntimeOptions;
  config: RuntimeConfig;
  store: Store;
  clock: Clock;
  gate: Gate;
  redactor: LearningRedactor;
  sandbox: Sandbox;
  log: Log;
  clientVersion: string;
}

/** Reads the pins; starts nothing but the looking at their file, which `pinning.stop` ends. */
export async function joinServers(
  parts: ServerParts,
): Promise<{ downstreams: Downstreams; pinning: Pinning }> {
  const { options, config, store, clock, gate, redactor, sandbox, log, clientVersion } = parts;
  const tokens = pathTokens(options);
  const downstreams = createDownstreams({
    servers: config.servers,
    sandbox,
    sandboxRoot: config.policy.sandbox.root,
    environment: options.env,
    ...{ clock, clientVersion, pathTokens: tokens },
    ...poolOptions(config),
    onListed: (server, tools) => {
      pinning.onListed(server, tools);
    },
    ...secretsOut(redactor),
    onStderr: (server, line) => {
      log('debug', redactor.text(line), { server });
    },
  });
  const pinning: Pinning = await openPinning({
    ...{ config, workspace: options.workspace, tokens, clock, log, gate },
    record: workspaceRecorder({ store, clock, tenant: config.identity.stdio.tenant, redactor }),
    downstreams: () => downstreams,
  });
  return { downstreams, pinning };
}
