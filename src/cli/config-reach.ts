// Owns what a person is shown before trusting a configuration: the programs it starts, the secrets it reads, the hosts and
// paths it opens, and what its policy lets pass without asking.
import { createGate } from '../kernel/policy/gate.ts';
import type { JsonObject } from '../base/json.ts';
import type { DownstreamServer, RuntimeConfig } from '../config/types.ts';
import { workingDirectory } from '../config/working-directory.ts';
import type { Context } from './context.ts';
import { localCaller } from './identity.ts';
import { cell } from './print.ts';

function startOf(server: DownstreamServer): string {
  if (server.transport === 'http') return `connects to ${server.url ?? ''}`;
  return `starts ${[server.command ?? '', ...server.args].map((word) => JSON.stringify(word)).join(' ')}`;
}

function environmentOf(server: DownstreamServer): string[] {
  const set = Object.entries({ ...server.env, ...server.headers }).map(([name, from]) => {
    if ('value' in from) return name;
    return 'fromEnv' in from ? `${name} (from ${from.fromEnv})` : `${name} (from the file ${from.fromFile})`;
  });
  return [...server.envAllow, ...set];
}

/** undefined: it is not started here. */
function startedIn(server: DownstreamServer, { policy }: RuntimeConfig): string | undefined {
  return server.transport === 'http' ? undefined : workingDirectory(server, policy.sandbox.root);
}

function serverLines(server: DownstreamServer, config: RuntimeConfig): string[] {
  const directory = startedIn(server, config);
  const place = directory === undefined ? '' : `in ${cell(directory, 1000)}, `;
  return [
    `Server      ${cell(server.name)} ${cell(startOf(server), 2000)}`,
    `            ${place}sees the variables ${cell(environmentOf(server).join(', ') || '(none)', 1000)}`,
  ];
}

/** What each tool gets, in each of the intents that reach it; arguments may still tighten it. */
function toolReach(config: RuntimeConfig): { tool: string; verdict: string }[] {
  const gate = createGate(config);
  const caller = localCaller(config.identity);
  const intents = Object.keys(config.intents);
  return Object.keys(config.capabilities)
    .sort()
    .map((tool) => {
      const reached = (intents.length === 0 ? [undefined] : intents).map((intent) =>
        gate.reach({
          tool,
          caller,
          agentId: config.agent.id,
          session: {
            id: '',
            lane: caller.lane,
            task: 'agent-session',
            ...(intent === undefined ? {} : { intent }),
          },
          pin: { state: 'pinned', digest: '' },
        }),
      );
      const open = reached.filter((one) => one.reachable);
      const verdict =
        open.length === 0 ? 'denied' : open.some((one) => !one.approvalRequired) ? 'allowed' : 'asks';
      return { tool, verdict };
    });
}

export function reachOf(config: RuntimeConfig, { workspace }: Context): JsonObject {
  const { policy, models, identity } = config;
  return {
    workspace,
    servers: Object.values(config.servers).map((server) => ({
      name: server.name,
      does: startOf(server),
      cwd: startedIn(server, config) ?? null,
      environment: environmentOf(server),
    })),
    models: Object.values(models.profiles).map((profile) => ({
      name: profile.name,
      provider: profile.provider,
      base_url: profile.baseUrl ?? null,
      key_variable: profile.apiKeyEnv ?? null,
    })),
    tools: toolReach(config),
    sandbox: policy.sandbox.root,
    urls: policy.urlAllowlist,
    default_decision: policy.defaultDecision,
    attestation: { ...policy.attestation },
    your_roles: identity.stdio.roles,
  };
}

/** The same for a reader; every word from the files is escaped and cut. */
export function reachText(config: RuntimeConfig, context: Context): string {
  const { policy, identity } = config;
  const reach = toolReach(config);
  const named = (verdict: string): string =>
    reach
      .filter((one) => one.verdict === verdict)
      .map((one) => one.tool)
      .join(', ') || '(none)';
  const lines = [
    `Workspace   ${cell(context.workspace, 1000)}`,
    `Files       ${cell(config.directory, 1000)}`,
    `Digest      ${config.digest}`,
    ...Object.values(config.servers).flatMap((server) => serverLines(server, config)),
    ...Object.values(config.models.profiles).map(
      (profile) =>
        `Model       ${cell(profile.name)}: ${cell(profile.provider)}${profile.baseUrl === undefined ? '' : ` at ${cell(profile.baseUrl, 500)}`}${profile.apiKeyEnv === undefined ? '' : `, with the key in ${cell(profile.apiKeyEnv)}`}`,
    ),
    `Allowed     ${cell(named('allowed'), 4000)}`,
    `Asks        ${cell(named('asks'), 4000)}`,
    `Denied      ${cell(named('denied'), 4000)}`,
    `Otherwise   ${policy.defaultDecision}`,
    `Paths       ${cell(policy.sandbox.root, 1000)}`,
    `URLs        ${cell(policy.urlAllowlist.join(', ') || '(none)', 4000)}`,
    `Answers     ${cell(
      Object.entries(policy.attestation)
        .map(([risk, proof]) => `${risk}: ${proof}`)
        .join(', '),
      500,
    )}`,
    `Your roles  ${cell(identity.stdio.roles.join(', ') || '(none)', 500)}`,
  ];
  return lines.join('\n');
}
