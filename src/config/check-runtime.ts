// Owns the checks of models, intents and callers against the other files.
import type { PolicyPart } from './files/policy.ts';
import type { PackPart, RuntimePart } from './files/runtime.ts';
import type { ToolNames } from './names.ts';
import type { Problems } from './problems.ts';
import { didYouMean } from '../base/suggest.ts';
import type { IdentityConfig, Intent } from './types.ts';

const FILE = 'runtime.yaml';

function checkModels(pack: PackPart, problems: Problems): void {
  if (!pack.models.has(pack.defaultModel)) {
    const guess = didYouMean(pack.defaultModel, pack.models.keys());
    problems.add(
      FILE,
      ['agent_runtime', 'default_model'],
      `"${pack.defaultModel}" is not a name of models${guess}`,
    );
  }
  for (const { name, provider, baseUrl, baseUrlEnv } of pack.models.values()) {
    const at = ['agent_runtime', 'models', name];
    if (provider === 'scripted') continue;
    if (baseUrl === undefined && baseUrlEnv === undefined) {
      problems.add(FILE, at, 'base_url or base_url_env is required');
    } else if (baseUrl !== undefined && baseUrlEnv !== undefined) {
      problems.add(FILE, [...at, 'base_url_env'], 'stands beside base_url; give one of them');
    }
  }
}

/** Intents may only name tools of the inventory. */
function checkIntent(
  intent: Intent,
  tools: ToolNames,
  inventory: ReadonlySet<string> | undefined,
  problems: Problems,
): void {
  const lists = { allow_tools: intent.allowTools, approval_required_tools: intent.approvalRequiredTools };
  for (const [key, written] of Object.entries(lists)) {
    const path = ['agent_runtime', 'intents', intent.id, key];
    tools.list(written, FILE, path, problems);
    for (const [at, name] of written.entries()) {
      const id = tools.find(name);
      if (id === undefined || inventory === undefined || inventory.has(id)) continue;
      problems.add(FILE, [...path, at], `"${name}" is not in approved_capabilities of agent.yaml`);
    }
  }
}

/** `tools` and `inventory` are absent when their files could not be read. */
export function checkRuntime(
  runtime: RuntimePart,
  tools: ToolNames | undefined,
  inventory: ReadonlySet<string> | undefined,
  problems: Problems,
): void {
  const { pack, settings } = runtime;
  const intents = pack?.intents ?? new Map<string, Intent>();
  if (pack !== undefined) checkModels(pack, problems);
  if (settings.gatewayIntent !== undefined && !intents.has(settings.gatewayIntent)) {
    const guess = didYouMean(settings.gatewayIntent, intents.keys());
    const message = `"${settings.gatewayIntent}" is not an intent of agent_runtime.intents${guess}`;
    problems.add(FILE, ['runtime', 'gateway', 'intent'], message);
  }
  if (tools === undefined) return;
  for (const intent of intents.values()) checkIntent(intent, tools, inventory, problems);
}

/** No two callers with one identity or one token; every lane exists. */
export function checkIdentity(
  identity: IdentityConfig,
  policy: PolicyPart | undefined,
  problems: Problems,
): void {
  const file = 'identity.yaml';
  const seen = new Set<string>();
  const refuseTwin = (key: string, path: (string | number)[], message: string): void => {
    if (seen.has(key)) problems.add(file, path, message);
    seen.add(key);
  };
  const checkLane = (lane: string | undefined, path: (string | number)[]): void => {
    if (lane === undefined || policy === undefined || Object.hasOwn(policy.lanes, lane)) return;
    const guess = didYouMean(lane, Object.keys(policy.lanes));
    problems.add(file, [...path, 'lane'], `"${lane}" is not a lane of policy.yaml${guess}`);
  };
  checkLane(identity.stdio.lane, ['identity', 'stdio']);
  for (const [at, one] of identity.principals.entries()) {
    const path = ['identity', 'principals', at];
    refuseTwin(
      JSON.stringify(['id', one.tenant, one.id]),
      [...path, 'id'],
      `"${one.id}" stands twice in tenant ${one.tenant}`,
    );
    if (one.tokenSha256 !== undefined) {
      refuseTwin(
        `token ${one.tokenSha256}`,
        [...path, 'token_sha256'],
        'is already the token of another principal',
      );
    }
    checkLane(one.lane, path);
  }
  for (const [at, one] of identity.delegations.entries()) {
    const key = JSON.stringify(['delegation', one.actor, one.principal, one.scope]);
    refuseTwin(key, ['identity', 'delegations', at], 'stands twice');
  }
}
