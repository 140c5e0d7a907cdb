// Owns the seeded configurations: small worlds in which every rule of the gate can speak.
import { Dice } from './random.ts';
import type {
  Access,
  Answer,
  JsonMap,
  OBudget,
  OConfig,
  OIntent,
  OLayer,
  OPolicy,
  ORule,
  OScope,
  OTool,
} from './shapes.ts';

export const ORIGINS: readonly string[] = [
  'https://docs.internal',
  'https://tickets.internal',
  'https://api.example:8443',
  'http://plain.example:8080',
  'http://plain.example',
  'bare.example',
  'https://xn--bcher-kva.example',
  'https://[2001:db8::1]',
];
const HOSTS = ['docs.internal', 'tickets.internal', 'bare.example', 'api.example:8443', 'docs.internal:443'];
const PATTERNS = [
  '/box/**',
  '/box/a/**',
  '/box/a/*',
  '/box/a/x.txt',
  '/box/*/x.txt',
  '/box/**/*.txt',
  '/box/c/**',
  '/box/a/b/*.md',
  '/boxes/**',
  '/other/**',
];
const WHENS = [
  'args.n > 6',
  'args.n >= 8',
  'args.n < -1',
  'args.n == 7',
  'args.n != 2 && args.n > 5',
  'args.s == "x"',
  'args.s != "y" && has(args.k)',
  'has(args.k)',
  'has(args.k) && args.n > 4',
  '!has(args.s) || args.s == "x"',
  'has(args.k) || args.n > 7',
  'args.k == 5 && args.n > 6',
  'identity.principal == "p2"',
  'identity.tenant == "t2"',
  'session.lane == "narrow"',
  'history.calls >= 2',
  'history.calls < 1 && args.n > 6',
];

function networkScope(dice: Dice): OScope {
  if (dice.chance(0.08)) return { type: 'network', posture: 'off' };
  if (dice.chance(0.3)) return { type: 'network', posture: 'full' };
  return { type: 'network', posture: 'allowlist', entries: dice.some(HOSTS, 0.6) };
}

function pathScopes(dice: Dice, access: Access, wide: number): OScope[] {
  const patterns = dice.chance(wide) ? ['/box/**'] : dice.sample(PATTERNS, 1 + dice.below(2));
  return patterns.map((pattern) => ({ type: 'path', pattern, access }));
}

/** SC-04: a tool whose write scope covers the reserved directories is refused at load, so tools name folders. */
function ownWrites(dice: Dice): OScope[] {
  const named = ['/box/a/**', '/box/a/*', '/box/a/x.txt', '/box/c/**', '/box/a/b/*.md', '/box/w.txt'];
  return dice.sample(named, 1 + dice.below(3)).map((pattern) => ({ type: 'path', pattern, access: 'write' }));
}

function layerScopes(dice: Dice, wide: number): OScope[] {
  if (dice.chance(0.05)) return [];
  return [
    ...(dice.chance(0.9) ? pathScopes(dice, 'read', wide) : []),
    ...(dice.chance(0.9) ? pathScopes(dice, 'write', wide) : []),
    ...(dice.chance(0.9) ? [networkScope(dice)] : []),
  ];
}

function rule(dice: Dice, name: string, tools: readonly string[], decision: Answer): ORule {
  const approver = dice.pick([
    'principal',
    'principal',
    'other',
    'role:manager',
    'role:manager',
    'role:security',
  ]);
  return {
    id: name,
    tools: dice.chance(0.5) ? '*' : dice.some(tools, 0.6),
    ...(dice.chance(0.93) ? { when: dice.pick(WHENS) } : {}),
    decision,
    reason: name,
    onDeny: dice.chance(0.8) ? 'tell_model' : 'end_run',
    ...(decision === 'approval_required' && dice.chance(0.7) ? { approver } : {}),
    rememberable: dice.chance(0.2),
  };
}

function rules(dice: Dice, level: string, tools: readonly string[], most: number): ORule[] {
  return Array.from({ length: dice.below(most + 1) }, (_, index) =>
    rule(
      dice,
      `${level}-${index}`,
      tools,
      dice.pick(['allow', 'approval_required', 'approval_required', 'deny']),
    ),
  );
}

function lower(dice: Dice, level: 'lane' | 'task', name: string, tools: readonly string[]): OLayer {
  const narrows = dice.chance(name === 'narrow' ? 0.9 : 0.2);
  const made: OLayer = { level, name, rules: rules(dice, level, tools, 2) };
  if (name === 'strict') made.rules.push(rule(dice, `${level}-deny`, tools, 'deny'));
  if (name === 'asking' || name === 'strict') {
    const when = dice.pick(['args.s == "x"', 'has(args.k)', 'args.n > 4', 'args.n > -2']);
    made.rules.push({ ...rule(dice, `${level}-ask`, tools, 'approval_required'), tools: '*', when });
  }
  return narrows ? { ...made, scopes: layerScopes(dice, 0.6) } : made;
}

function workspace(dice: Dice, tools: readonly string[]): OLayer {
  const base: ORule = {
    id: 'base',
    tools: dice.chance(0.75) ? '*' : dice.some(tools, 0.8),
    decision: 'allow',
    reason: 'base',
    onDeny: 'tell_model',
    rememberable: false,
  };
  const ask: ORule = {
    ...rule(dice, 'workspace-ask', tools, 'approval_required'),
    tools: dice.chance(0.7) ? '*' : dice.some(tools, 0.5),
    when: dice.pick(['args.s == "x"', 'has(args.k)', 'args.n == 7']),
  };
  const made: OLayer = {
    level: 'workspace',
    name: 'workspace',
    rules: [base, ...rules(dice, 'workspace', tools, 3), ask],
  };
  return dice.chance(0.4) ? { ...made, scopes: layerScopes(dice, 0.8) } : made;
}

const PLAIN: Omit<OTool, 'name' | 'id' | 'tool'> = {
  owner: 'team',
  mode: 'read',
  permission: 'read',
  version: '1.0.0',
  pack: 'kit',
  transport: 'in_process',
  timeoutSeconds: 10,
  outputBytes: 65_536,
  toolPrincipal: 'svc',
  risk: 'low',
  class: 'plain',
  networkAccess: 'none',
  allowedEgress: [],
  approval: 'none',
  idempotency: { keyRequired: false, idempotent: false },
  scopes: [],
  pathArguments: [],
  urlArguments: [],
  expose: true,
  sandboxed: false,
};

/** One of each kind of tool, so that a call can choose its trouble by choosing its tool. */
function kinds(dice: Dice): Record<string, Partial<OTool>> {
  const net = (): Partial<OTool> => ({
    networkAccess: dice.pick(['restricted', 'brokered']),
    allowedEgress: dice.sample(HOSTS, 1 + dice.below(3)),
  });
  return {
    plain: {},
    writer: { mode: 'write', permission: 'write', risk: 'medium' },
    reads: { scopes: pathScopes(dice, 'read', 0.5) },
    // Its own scope goes beyond the sandbox root.
    neighbour: {
      scopes: ['/box/**', '/boxes/**'].map((pattern) => ({ type: 'path', pattern, access: 'read' })),
    },
    writes: { mode: 'write', scopes: [...pathScopes(dice, 'read', 0.5), ...ownWrites(dice)] },
    'desk:get': { transport: 'mcp_stdio', server: 'desk' },
    'desk:read': { transport: 'mcp_http', server: 'desk', scopes: pathScopes(dice, 'read', 0.7) },
    pointed: {
      scopes: ownWrites(dice),
      pathArguments: [{ pointer: '/s', access: 'write' }],
      urlArguments: ['/k'],
    },
    fetch: { ...net(), scopes: [networkScope(dice)] },
    implicit: net(),
    'desk:send': { ...net(), transport: 'mcp_stdio', server: 'desk', mode: 'write' },
    quiet: { scopes: [networkScope(dice)] },
    full: { ...net(), networkAccess: 'full' },
    noegress: { ...net(), allowedEgress: [], scopes: [{ type: 'network', posture: 'full' }] },
    admin: { permission: 'admin' },
    exec: { class: 'exec', sandboxed: dice.chance(0.5) },
    critical: { risk: 'critical' },
    approved: { mode: 'write', approval: { approver: dice.pick(['principal', 'role:manager', 'other']) } },
    // Named like a tool that may be called, and more.
    'plain-unapproved': {},
    banned: {},
    'plain-unlisted': {},
  };
}

/** Closed schemas; `additionalProperties` is always said, because the spec and JSON Schema differ when it is not. */
function schema(dice: Dice): JsonMap {
  const text: JsonMap = { type: 'string' };
  const nested: JsonMap = {
    type: 'object',
    properties: { callback_url: text, file: text, n: { type: 'number' } },
    additionalProperties: false,
  };
  const properties: JsonMap = {
    n: { type: dice.pick(['number', 'integer']), minimum: -2, maximum: dice.pick([8, 9, 12]) },
    s: dice.chance(0.5) ? text : { type: 'string', enum: ['x', 'y', 'z', '/box/a/x.txt'] },
    k: dice.chance(0.5) ? {} : { type: ['string', 'integer'] },
    url: text,
    links: { type: 'array', items: text },
    targetUrl: text,
    path: text,
    file: text,
    deep: nested,
  };
  const required = dice.some(['n', 's'], 0.4);
  return { type: 'object', properties, required, additionalProperties: dice.chance(0.15) };
}

function budget(dice: Dice): OBudget {
  const all = {
    maxIterations: 5 + dice.below(20),
    maxTokens: 1000 + dice.below(5000),
    maxCalls: 6 + dice.below(20),
    maxCostUsd: 0.5 + dice.below(10),
    maxEffects: 3 + dice.below(5),
    maxWallSeconds: 60 + dice.below(600),
  };
  return Object.fromEntries(Object.entries(all).filter(() => dice.chance(0.6)));
}

function policyOf(dice: Dice, ids: readonly string[]): OPolicy {
  const layers = (level: 'lane' | 'task', first: string): Record<string, OLayer> =>
    Object.fromEntries(
      [first, 'narrow', 'strict', 'asking', 'day'].map((name) => [name, lower(dice, level, name, ids)]),
    );
  return {
    registry: {
      allowed: ids.filter((id) => id !== 'plain-unlisted' && dice.chance(0.98)),
      denied: ['banned', 'ghost-denied', ...dice.some(ids, 0.02)],
    },
    urlAllowlist: dice.sample(ORIGINS, 2 + dice.below(5)),
    sandbox: { pathTemplate: '/box', root: '/box' },
    argSchemaEnforcement: dice.chance(0.85) ? 'strict' : 'off',
    loopBudget: {
      ...budget(dice),
      ...(dice.chance(0.7) ? { perPrincipal: { ...budget(dice), windowSeconds: 60 } } : {}),
      ...(dice.chance(0.7) ? { perTenant: { ...budget(dice), windowSeconds: 60 } } : {}),
    },
    cycle: { maxRepeats: 1 + dice.below(4), windowSeconds: 600 },
    precheck: { requireTenant: dice.chance(0.8), denyIfPrincipalMissing: dice.chance(0.8) },
    execution: { allowNetworkAccess: dice.some(['restricted', 'brokered', 'full', 'none'], 0.75) },
    defaultDecision: dice.pick(['deny', 'deny', 'allow', 'approval_required']),
    workspace: workspace(dice, ids),
    lanes: layers('lane', 'default'),
    tasks: layers('task', 'agent-session'),
  };
}

function intentsOf(dice: Dice, ids: readonly string[]): Record<string, OIntent> {
  if (dice.chance(0.2)) return {};
  const one = (id: string, allow: number, asks: number): [string, OIntent] => [
    id,
    { id, description: id, allowTools: dice.some(ids, allow), approvalRequiredTools: dice.some(ids, asks) },
  ];
  return Object.fromEntries([one('wide', 0.95, 0.03), one('half', 0.5, 0.1), one('asking', 0.4, 0.6)]);
}

export interface World {
  config: OConfig;
  /** The schemas that the gate is prepared with; tools share them. */
  schemas: JsonMap[];
  schemaOf: Record<string, JsonMap>;
}

export function makeWorld(seed: number): World {
  const dice = new Dice(seed);
  const capabilities: Record<string, OTool> = {};
  for (const [id, over] of Object.entries(kinds(dice))) {
    capabilities[id] = { ...PLAIN, name: id.replace(':', '_'), id, tool: id, ...over };
  }
  const ids = Object.keys(capabilities);
  const schemas = [schema(dice), schema(dice), schema(dice)];
  return {
    config: {
      directory: dice.chance(0.5) ? '/box/conf' : '/workspace/configs',
      agent: {
        id: 'agent-1',
        approvedCapabilities: [
          ...ids.filter((id) => id !== 'plain-unapproved' && dice.chance(0.98)),
          ...(dice.chance(0.5) ? ['ghost'] : []),
        ],
      },
      capabilities,
      policy: policyOf(dice, [...ids, 'ghost']),
      intents: intentsOf(dice, ids),
    },
    schemas,
    schemaOf: Object.fromEntries(ids.map((id) => [id, dice.pick(schemas)])),
  };
}
