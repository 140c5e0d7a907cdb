// Every key of policy.yaml is checked where it stands, arrives in the policy, and is named where the policy is carried out;
// or it is refused with the reason. What each then does is shown where it is done.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, stringify } from 'yaml';
import { isObject } from '../../src/base/json.ts';
import { jsonSchemas } from '../../src/config/schemas.ts';
import type { Policy, PolicyLayer } from '../../src/config/types.ts';
import { verifies } from '../e2e/verifies.ts';
import { load, PACKAGE_ROOT, refusal } from './fixture.ts';

type Tree = Record<string, unknown>;

/** A key as the schema has it: `*` for any name, `-` for any item. */
interface Key {
  /** Where it is written, and another value than the one that stands there. */
  at: string;
  value: unknown;
  /** Where the value arrives, and as what. */
  read: (policy: Policy) => unknown;
  as?: unknown;
  /** The word by which whoever carries the policy out reads it. */
  word: string;
}

function layered(id: string): Tree {
  return {
    rules: [{ id, tools: ['search_docs'], decision: 'deny' }],
    scopes: [
      { type: 'path', pattern: '/srv/**', access: 'read' },
      { type: 'network', posture: 'allowlist', entries: ['docs.internal'] },
    ],
  };
}

function key(at: string, value: unknown, word: string, read: Key['read'], as: unknown = value): Key {
  return { at, value, word, read, as };
}

function budget(block: string, of: (policy: Policy) => object | undefined): Record<string, Key> {
  const names = {
    max_iterations: 'maxIterations',
    max_tokens: 'maxTokens',
    max_calls: 'maxCalls',
    max_cost_usd: 'maxCostUsd',
    max_effects: 'maxEffects',
    ...(block === 'loop_budget'
      ? { max_wall_seconds: 'maxWallSeconds' }
      : { window_seconds: 'windowSeconds' }),
  };
  return Object.fromEntries(
    Object.entries(names).map(([name, word]) => [
      `${block}/${name}`,
      key(`${block}/${name}`, 77, word, (policy) => (of(policy) as Tree | undefined)?.[word]),
    ]),
  );
}

function layer(
  schema: string,
  at: string,
  of: (policy: Policy) => PolicyLayer | undefined,
): Record<string, Key> {
  const rule = (policy: Policy): Tree =>
    (of(policy)?.rules.find(({ id }) => /^(one|two)/.test(id)) ?? {}) as Tree;
  const scope = (policy: Policy, index: number): Tree => of(policy)?.scopes?.[index] ?? {};
  const rules = Object.entries({
    id: ['two', 'id'],
    tools: ['*', 'tools'],
    when: ['args.query == "x"', 'when'],
    decision: ['approval_required', 'decision'],
    reason: ['Because.', 'reason'],
    on_deny: ['end_run', 'onDeny'],
    approver: ['manager', 'approver', 'role:manager'],
  } as Record<string, [unknown, string, unknown?]>).map(([name, [value, word, as]]) => [
    `${schema}/rules/-/${name}`,
    key(`${at}/rules/0/${name}`, value, word, (policy) => rule(policy)[word], as ?? value),
  ]);
  const network = { type: 'network', posture: 'full' };
  const scopes = [
    ['type', key(`${at}/scopes/0`, network, 'type', (policy) => scope(policy, 0).type, 'network')],
    ['pattern', key(`${at}/scopes/0/pattern`, '/opt/**', 'pattern', (policy) => scope(policy, 0).pattern)],
    ['access', key(`${at}/scopes/0/access`, 'write', 'access', (policy) => scope(policy, 0).access)],
    ['posture', key(`${at}/scopes/1`, network, 'posture', (policy) => scope(policy, 1).posture, 'full')],
    [
      'entries',
      key(`${at}/scopes/1/entries`, ['x.internal'], 'entries', (policy) => scope(policy, 1).entries),
    ],
  ].map(([name, one]) => [`${schema}/scopes/-/${name as string}`, one]);
  return Object.fromEntries([...rules, ...scopes]) as Record<string, Key>;
}

function consequences(block: 'on_deny' | 'on_failure', names: string[]): Record<string, Key> {
  const word = block === 'on_deny' ? 'onDeny' : 'onFailure';
  return Object.fromEntries(
    names.map((name) => [
      `${block}/${name}`,
      key(`${block}/${name}`, 'end_run', word, (policy) => (policy[word] as Tree | undefined)?.[name]),
    ]),
  );
}

function attestation(risk: keyof Policy['attestation']): Key {
  const value = risk === 'critical' ? 'same_user' : 'credential';
  return key(`attestation/${risk}`, value, 'attestation', (policy) => policy.attestation[risk]);
}

const ofTicket = (policy: Policy): Tree =>
  (policy.workspace.rules.find(({ id }) => id === 'capability.create_ticket') ?? {}) as unknown as Tree;

const KEYS: Record<string, Key> = {
  version: key('version', 'mine-2', 'version', (policy) => policy.version),
  'tool_registry/allowed': key(
    'tool_registry/allowed',
    ['search_docs'],
    'registry',
    (policy) => policy.registry.allowed,
    ['desk:search_docs'],
  ),
  'tool_registry/denied': key(
    'tool_registry/denied',
    ['write_file'],
    'registry',
    (policy) => policy.registry.denied,
    ['files:write_file'],
  ),
  url_allowlist: key('url_allowlist', ['x.internal'], 'urlAllowlist', (policy) => policy.urlAllowlist),
  'sandbox/path_template': key('sandbox/path_template', '/srv/x', 'root', (policy) => policy.sandbox.root),
  arg_schema_enforcement: key(
    'arg_schema_enforcement',
    'off',
    'argSchemaEnforcement',
    (policy) => policy.argSchemaEnforcement,
  ),
  ...budget('loop_budget', (policy) => policy.loopBudget),
  ...budget('loop_budget/per_principal', (policy) => policy.loopBudget.perPrincipal),
  ...budget('loop_budget/per_tenant', (policy) => policy.loopBudget.perTenant),
  'cycle_detection/max_repeats': key(
    'cycle_detection/max_repeats',
    7,
    'maxRepeats',
    ({ cycle }) => cycle.maxRepeats,
  ),
  'cycle_detection/window_seconds': key(
    'cycle_detection/window_seconds',
    7,
    'windowSeconds',
    ({ cycle }) => cycle.windowSeconds,
  ),
  'retry/max_retries': key('retry/max_retries', 7, 'maxRetries', ({ retry }) => retry.maxRetries),
  'retry/backoff_base_ms': key(
    'retry/backoff_base_ms',
    7,
    'backoffBaseMs',
    ({ retry }) => retry.backoffBaseMs,
  ),
  'retry/backoff_cap_ms': key(
    'retry/backoff_cap_ms',
    7777,
    'backoffCapMs',
    ({ retry }) => retry.backoffCapMs,
  ),
  ...consequences('on_deny', [
    ...['run_precheck', 'tool_registry', 'inventory', 'tool_pin', 'scope_boundary', 'url_allowlist'],
    ...['sandbox_path', 'arg_schema', 'intent', 'cycle_detection', 'loop_budget', 'kernel_error'],
  ]),
  ...consequences('on_failure', ['retry_exhaustion', 'catalogued_unhandled']),
  'run_precheck/require_tenant': key(
    'run_precheck/require_tenant',
    false,
    'requireTenant',
    ({ precheck }) => precheck.requireTenant,
  ),
  'run_precheck/deny_if_principal_missing': key(
    'run_precheck/deny_if_principal_missing',
    false,
    'denyIfPrincipalMissing',
    ({ precheck }) => precheck.denyIfPrincipalMissing,
  ),
  'execution/allow_network_access': key(
    'execution/allow_network_access',
    ['restricted', 'brokered', 'full'],
    'allowNetworkAccess',
    ({ execution }) => execution.allowNetworkAccess,
  ),
  'attestation/low': attestation('low'),
  'attestation/medium': attestation('medium'),
  'attestation/high': attestation('high'),
  'attestation/critical': attestation('critical'),
  'capabilities/*/decision': key(
    'capabilities/create_ticket',
    { decision: 'deny' },
    'decision',
    (policy) => ofTicket(policy).decision,
    'deny',
  ),
  'capabilities/*/approver': key(
    'capabilities/create_ticket/approver',
    'other',
    'approver',
    (policy) => ofTicket(policy).approver,
  ),
  'capabilities/*/on_deny': key(
    'capabilities/create_ticket/on_deny',
    'end_run',
    'onDeny',
    (policy) => ofTicket(policy).onDeny,
  ),
  'workspace/default_decision': key(
    'workspace/default_decision',
    'approval_required',
    'defaultDecision',
    (policy) => policy.defaultDecision,
  ),
  ...layer('workspace', 'workspace', (policy) => policy.workspace),
  ...layer('lanes/*', 'lanes/night', (policy) => policy.lanes.night),
  ...layer('tasks/agent-session', 'tasks/agent-session', (policy) => policy.tasks['agent-session']),
};

function leaves(schema: Tree, path = ''): string[] {
  if (isObject(schema.not)) return [`${path} refused`];
  const below = (name: string): string => (path === '' ? name : `${path}/${name}`);
  const shapes = (schema.anyOf ?? schema.oneOf ?? []) as Tree[];
  const found = [
    ...Object.entries((schema.properties ?? {}) as Record<string, Tree>).flatMap(([name, one]) =>
      leaves(one, below(name)),
    ),
    ...(isObject(schema.additionalProperties) ? leaves(schema.additionalProperties, below('*')) : []),
    ...(isObject(schema.items) ? leaves(schema.items, below('-')).filter((one) => !one.endsWith('/-')) : []),
    ...shapes.flatMap((one) => leaves(one, path)).filter((one) => one !== path && !one.endsWith('/-')),
  ];
  return found.length === 0 ? [path] : [...new Set(found)];
}

function withKey(at: string, value: unknown): (text: string) => string {
  return (text) => {
    const file = parse(text) as { policy: Tree };
    const { policy } = file;
    policy.workspace = { ...(policy.workspace as Tree), ...layered('one.workspace') };
    policy.lanes = { night: layered('one.lane') };
    policy.tasks = { 'agent-session': layered('one.task') };
    let here = policy;
    const names = at.split('/');
    for (const name of names.slice(0, -1)) here = (here[name] ??= {}) as Tree;
    // An answer to an approval only stands beside a decision that asks for one.
    if (at.includes('/rules/0/') && at.endsWith('/approver')) here.decision = 'approval_required';
    here[names.at(-1)!] = value;
    return stringify(file);
  };
}

function sources(): string {
  const rooms = ['kernel', 'pack', 'runtime', 'inspect'].map((room) => join(PACKAGE_ROOT, 'src', room));
  return rooms
    .flatMap((room) =>
      readdirSync(room, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => readFileSync(join(room, name), 'utf8')),
    )
    .join('\n');
}

verifies(
  ['CV-04'],
  'every key of policy.yaml is checked, arrives in the policy and is named by whoever carries it out, or is refused with the reason',
  async () => {
    const schema = jsonSchemas()['policy.yaml'] as { properties: { policy: Tree } };
    const known = leaves(schema.properties.policy);
    const refused = known.filter((one) => one.endsWith(' refused')).map((one) => one.replace(' refused', ''));
    expect(known.filter((one) => !one.endsWith(' refused')).sort()).toEqual(Object.keys(KEYS).sort());
    const { policy: plain } = await load({ 'policy.yaml': withKey('version', 'mine-1') });
    const carriedOut = sources();
    for (const [name, { at, value, read, as, word }] of Object.entries(KEYS)) {
      const { policy } = await load({ 'policy.yaml': withKey(at, value) });
      expect(read(policy), name).toEqual(as);
      expect(read(plain), name).not.toEqual(as);
      expect(policy.digest, name).not.toBe(plain.digest);
      expect(carriedOut, name).toMatch(new RegExp(`\\b${word}\\b`));
      const { problems } = await refusal({ 'policy.yaml': withKey(at, [[{}]]) });
      expect(problems.map(({ path }) => path).join(), name).toContain(`/policy/${at}`);
    }
    for (const name of refused) {
      const at = name.replace('/-/', '/0/').replace('/*/', '/night/');
      const { problems } = await refusal({ 'policy.yaml': withKey(at, 7) });
      const [found] = problems.filter(({ path }) => path === `/policy/${at}`);
      expect(found?.message, name).toMatch(/has no effect|is not supported|may stand in/);
    }
  },
  60_000,
);
