// Owns the seeded calls: a call that most rules like, then none to three deliberate faults.
import { urlInForce } from './oracle.ts';
import { scopeDenials } from './oracle-scopes.ts';
import { urlAllowed, urlArguments } from './oracle-arguments.ts';
import type { World } from './generate.ts';
import type { Dice } from './random.ts';
import type { Access, Json, JsonMap, OConfig, OInput, OPath, OTool, OUsage } from './shapes.ts';

/** Spellings that have fooled URL checks; `H` is a host of the allow list, `E` one that is not. */
const TRICKS = [
  'https://E/',
  'https://H@E/',
  'https://E@H/',
  'https://user:pw@H/',
  'https://:@H/',
  'https://H.E/',
  'https://E#@H/',
  'https://E?@H/',
  'https://E\\@H/',
  'https://H\\@E/',
  'https:\\\\H\\',
  'https:/H/',
  'https:H',
  '//H/',
  '/H/path',
  'HTTPS://H/',
  'https://H:443/',
  'https://H:0443/',
  'https://H:444/',
  'https://H:80/',
  'http://H:443/',
  'http://H/',
  'https://H./',
  'https://.H/',
  'https://H%2e/',
  'https://H%00/',
  'https://H/%00',
  'https://H/a%2f..%2fb',
  'https://H/../a',
  'https://H/a/./b',
  'https://H/%2e%2e/a',
  'https://H/\tq',
  'https://H/\r\nHost: E',
  ' https://H/',
  'https://H/ ',
  '\u0000https://H/',
  'https://H\u00ad/',
  'https://H\u200b/',
  'https://H\u3002E/',
  'https://\uff28/',
  'https://b\u00fccher.example/',
  'https://H/\u00e9',
  'https://H?q=1',
  'https://H/?q=1',
  'https://H/#frag',
  'https://H/?next=https://E/',
  'https://H/~a;b=1',
  'https://127.0.0.1/',
  'https://0x7f000001/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'file:///etc/passwd',
  'file://H/etc',
  'ftp://H/',
  'javascript:alert(1)',
  'data:text/plain,https://H/',
  'wss://H/',
  'blob:https://H/x',
  'https://',
  '',
  'not a url',
];
const GOOD_PATHS = [
  '/box/a/x.txt',
  '/box/a/y.md',
  '/box/a/b/x.txt',
  '/box/c/z',
  '/box/w.txt',
  '/box/a/b/y.md',
];
const BAD_PATHS = [
  '/other/x.txt',
  '/boxes/x.txt',
  '/box/.agent-runtime/x.txt',
  '/box/conf/x.txt',
  '/',
  '/bo/x.txt',
];
const KEYS: (keyof OUsage)[] = ['iterations', 'tokens', 'calls', 'costUsd', 'effects', 'wallSeconds'];

export interface Call {
  input: OInput;
  /** A property that throws when read: fault injection for the rule that reads it. */
  poison?: 'pin' | 'usage';
}

type Fault =
  | 'precheck'
  | 'tool'
  | 'ghost'
  | 'pin'
  | 'lane'
  | 'task'
  | 'url'
  | 'path'
  | 'unresolved'
  | 'schema'
  | 'intent'
  | 'rule'
  | 'cycle'
  | 'session'
  | 'limits'
  | 'principal'
  | 'tenant'
  | 'poison';
const FAULTS: readonly Fault[] = [
  'precheck',
  'tool',
  'ghost',
  'pin',
  'lane',
  'task',
  'url',
  'path',
  'unresolved',
  'schema',
  'intent',
  'rule',
  'rule',
  'cycle',
  'session',
  'limits',
  'principal',
  'tenant',
  'poison',
];

function urlFor(dice: Dice, config: OConfig, bad: boolean): string {
  const entry = dice.pick(config.policy.urlAllowlist);
  if (!bad) {
    const origin = entry.includes('://') ? entry : `https://${entry}`;
    return `${origin}${dice.pick(['', '/', '/a/b', '/?q=1', '/a#f', '/%7Ea'])}`;
  }
  const host = entry.replace(/^\w+:\/\//, '');
  return dice.pick(TRICKS).replaceAll('H', host).replaceAll('E', 'evil.example');
}

function argsFor(dice: Dice, world: World, tool: OTool | undefined, faults: readonly Fault[]): JsonMap {
  const { config } = world;
  const hot = faults.includes('rule');
  const args: JsonMap = {};
  const url = faults.includes('url');
  if (!dice.chance(hot ? 0.15 : 0.02)) args['n'] = hot ? 4 + dice.below(6) : dice.pick([0, 1, 2, 3, 0.5, 2]);
  if (!dice.chance(0.1)) args['s'] = dice.pick(hot ? ['x', 'y', 'z'] : ['y', 'y', 'z', 'z', 'x']);
  if (tool?.pathArguments.length !== 0 && dice.chance(0.5)) args['s'] = '/box/a/x.txt';
  if (dice.chance(hot ? 0.5 : 0.08)) args['k'] = dice.pick<Json>([5, 'word', urlFor(dice, config, url)]);
  if (url || dice.chance(0.2)) {
    const key = dice.pick(['url', 'targetUrl', 'links', 'deep', 'nest', 's']);
    const text = urlFor(dice, config, url);
    if (key === 'links') args[key] = [urlFor(dice, config, false), text];
    else if (key === 'nest') args['url'] = { at: text };
    else args[key] = key === 'deep' ? { callback_url: text } : text;
  }
  const pathed = tool?.server !== undefined || tool?.scopes.some((scope) => scope.type === 'path') === true;
  const troubled = faults.includes('path') || faults.includes('unresolved');
  if (troubled || dice.chance(pathed ? 0.5 : 0.05)) {
    if (dice.chance(0.8)) args[dice.pick(['path', 'file'])] = 'a/x.txt';
    else args['deep'] = { file: 'a/x.txt' };
  }
  if (faults.includes('schema')) spoil(dice, args);
  return args;
}

function spoil(dice: Dice, args: JsonMap): void {
  const how = dice.below(6);
  if (how === 0) args['extra'] = 1;
  else if (how === 1) args['n'] = dice.pick<Json>(['3', null, true, 100, -5, 1.5]);
  else if (how === 2) args['s'] = dice.pick<Json>([1, ['x'], {}, 'unknown', null]);
  else if (how === 3) delete args['n'];
  else if (how === 4) args['deep'] = { extra: 1 };
  else args['N'] = 3;
}

function pathsFor(dice: Dice, args: JsonMap, tool: OTool | undefined, faults: readonly Fault[]): OPath[] {
  const found: [string, Json][] = [];
  for (const key of ['path', 'file', 's']) {
    if (args[key] !== undefined && (key !== 's' || tool?.pathArguments.length === 1)) {
      found.push([`/${key}`, args[key]]);
    }
  }
  const { deep } = args;
  if (deep !== undefined && deep !== null && typeof deep === 'object' && !Array.isArray(deep)) {
    if (deep['file'] !== undefined) found.push(['/deep/file', deep['file']]);
  }
  const bad = faults.includes('path');
  return found.flatMap(([pointer, given]): OPath[] => {
    if (typeof given !== 'string') return [];
    if (faults.includes('unresolved') && dice.chance(0.5)) return [];
    const declared = tool?.pathArguments.find((one) => one.pointer === pointer);
    const access: Access = declared?.access ?? tool?.mode ?? 'read';
    const isNear = bad && tool?.id === 'neighbour' && dice.chance(0.7);
    const resolved = isNear ? '/boxes/x.txt' : dice.pick(bad ? [...BAD_PATHS, ...GOOD_PATHS] : GOOD_PATHS);
    if (faults.includes('unresolved') && dice.chance(0.3)) {
      return [{ pointer, given: `${given}.bak`, resolved, access }]; // resolved, but not this path
    }
    if (faults.includes('unresolved')) return [{ pointer, given, access, problem: 'does not exist' }];
    const problem = bad && dice.chance(0.2) ? { problem: 'is a device' } : {};
    return [{ pointer, given, resolved, access, ...problem }];
  });
}

function usage(dice: Dice): OUsage {
  return {
    iterations: dice.below(5),
    tokens: dice.below(900),
    calls: dice.pick([0, 0, 1, 1, 2, 5]),
    costUsd: dice.below(4) / 10,
    effects: dice.below(3),
    wallSeconds: dice.below(50),
  };
}

function overspent(dice: Dice, budget: Record<string, unknown> | undefined): OUsage {
  const made = usage(dice);
  const key = dice.pick(KEYS);
  const bound = budget?.[`max${key.charAt(0).toUpperCase()}${key.slice(1)}`];
  const exact = typeof bound === 'number' ? bound : 1_000_000;
  made[key] = dice.pick([exact, exact, exact - 0.001, exact + 1, 1e9, Number.NaN, Infinity, -Infinity]);
  return made;
}

function intentFor(dice: Dice, config: OConfig, tool: string, bad: boolean): string | undefined {
  const all = Object.values(config.intents);
  if (bad) return dice.pick([undefined, 'nobody', 'constructor', '', ...all.map(({ id }) => id)]);
  const fitting = all.filter(
    (one) => one.allowTools.includes(tool) || one.approvalRequiredTools.includes(tool),
  );
  return fitting.length === 0 ? all[0]?.id : dice.pick(fitting).id;
}

const TROUBLED = ['admin', 'exec', 'noegress', 'plain-unapproved', 'banned', 'plain-unlisted', 'full'];

function toolFor(dice: Dice, config: OConfig, faults: readonly Fault[]): string {
  if (faults.includes('ghost')) return dice.pick(['ghost', 'ghost', 'ghost-denied', 'constructor']);
  if (faults.includes('tool')) return dice.pick(TROUBLED);
  if (faults.includes('path') && dice.chance(0.1)) return 'neighbour';
  return dice.pick(Object.keys(config.capabilities).filter((id) => !TROUBLED.includes(id)));
}

/** Faults that make a layer speak. */
const VOICES: Readonly<Record<string, readonly Fault[]>> = {
  kernel: ['precheck', 'tool', 'pin', 'url', 'path', 'unresolved', 'schema', 'poison'],
  workspace: ['rule'],
  lane: ['rule', 'rule', 'lane'],
  task: ['rule', 'rule', 'task'],
  intent: ['intent'],
  session: ['cycle', 'session', 'limits'],
  principal: ['principal'],
  tenant: ['tenant'],
};

function faultsFor(dice: Dice, aim: readonly string[] | undefined): Fault[] {
  if (aim === undefined) return dice.sample(FAULTS, dice.pick([0, 0, 1, 1, 1, 2, 2, 3]));
  if (aim.every((layer) => layer === 'task') || aim.every((layer) => layer === 'lane')) return ['rule'];
  return aim.flatMap((layer) => {
    const voices = VOICES[layer];
    return voices === undefined ? [] : [dice.pick(voices)];
  });
}

/** A call; with an aim, one in which the named layers are likely to speak. */
export function makeCall(dice: Dice, world: World, aim?: readonly string[]): Call {
  const { config } = world;
  const { loopBudget, cycle, lanes, tasks } = config.policy;
  const faults = faultsFor(dice, aim);
  const has = (fault: Fault): boolean => faults.includes(fault);
  const id = toolFor(dice, config, faults);
  const tool = Object.hasOwn(config.capabilities, id) ? config.capabilities[id] : undefined;
  const args = argsFor(dice, world, tool, faults);
  const intent = intentFor(dice, config, id, has('intent'));
  const declared = tool?.server === undefined || dice.chance(0.03) ? 'declared' : 'pinned';
  const inputSchema = (tool === undefined ? undefined : world.schemaOf[id]) ?? dice.pick(world.schemas);
  const layer = (name: string, declared: string[]): string =>
    aim?.every((one) => one === name) === true
      ? 'strict'
      : dice.pick(aim?.includes(name) === true ? ['strict', 'asking', 'narrow'] : declared);
  const lane = has('lane')
    ? dice.pick(['nowhere', '', 'constructor'])
    : layer('lane', [...Object.keys(lanes), 'default']);
  const task = has('task')
    ? dice.pick(['other', ''])
    : layer('task', [...Object.keys(tasks), 'agent-session']);
  const history: OInput['history'] = {
    repeats: has('cycle')
      ? dice.pick([cycle.maxRepeats, cycle.maxRepeats + 1, 99, Number.NaN, Infinity])
      : dice.below(cycle.maxRepeats),
    session: has('session') ? overspent(dice, { ...loopBudget }) : usage(dice),
  };
  if (loopBudget.perPrincipal !== undefined || has('principal')) history.principal = usage(dice);
  if (loopBudget.perTenant !== undefined || has('tenant')) history.tenant = usage(dice);
  if (has('principal')) {
    if (dice.chance(0.1)) delete history.principal;
    else history.principal = overspent(dice, { ...loopBudget.perPrincipal });
  }
  if (has('tenant')) {
    if (dice.chance(0.1)) delete history.tenant;
    else history.tenant = overspent(dice, { ...loopBudget.perTenant });
  }
  const missing = has('precheck') ? dice.sample([0, 1, 2], dice.pick([1, 1, 2, 3])) : [];
  const input: OInput = {
    tool: id,
    args,
    caller: {
      tenant: missing.includes(0) ? '' : dice.pick(['t1', 't1', 't2']),
      principal: missing.includes(1) ? '' : dice.pick(['p1', 'p1', 'p2']),
      actor: 'stdio:1',
      roles: has('tool') ? dice.some(['operator', 'admin', 'reader', 'administrator'], 0.2) : [],
      scopes: [],
      lane,
    },
    delegation: { mode: 'platform_owned', delegatedPrincipalId: '', delegatedScope: '' },
    agentId: missing.includes(2) ? dice.pick(['', 'agent-2', 'Agent-1']) : 'agent-1',
    session: { id: 'session', ...(intent === undefined ? {} : { intent }), lane, task },
    ...(tool === undefined ? {} : { capability: tool }),
    pin: has('pin')
      ? dice.pick([{ state: 'unpinned' }, { state: 'quarantined', reason: 'changed' }])
      : { state: dice.chance(0.1) ? 'pinned' : declared, digest: 'sha256:x' },
    ...(has('schema') && dice.chance(0.1) ? {} : { inputSchema }),
    paths: pathsFor(dice, args, tool, faults),
    history,
    ...(has('limits') || dice.chance(0.2) ? { limits: limits(dice, has('limits')) } : {}),
  };
  if (!has('poison')) return { input };
  // A rule that breaks half-way may have spoken already; usage is poisoned only where it has nothing else to say.
  const spent = has('session') || has('limits') || has('principal') || has('tenant');
  return { input, poison: spent || dice.chance(0.5) ? 'pin' : 'usage' };
}

function limits(dice: Dice, tight: boolean): Record<string, number> {
  const key = dice.pick([
    'maxIterations',
    'maxTokens',
    'maxCalls',
    'maxCostUsd',
    'maxEffects',
    'maxWallSeconds',
  ]);
  return { [key]: tight ? dice.pick([0, 1, Number.NaN, Infinity]) : 1000 };
}

/** The same call, with a getter that throws in place of one value. */
export function poisoned({ input, poison }: Call): OInput {
  if (poison === undefined) return input;
  const broken = poison === 'pin' ? { ...input.pin } : { ...input.history.session };
  Object.defineProperty(broken, poison === 'pin' ? 'state' : 'wallSeconds', {
    enumerable: true,
    get() {
      throw new Error('poisoned');
    },
  });
  if (poison === 'pin') return { ...input, pin: broken as OInput['pin'] };
  return { ...input, history: { ...input.history, session: broken as OUsage } };
}

/**
 * Left out of the comparison: a tool with networkAccess full and no network scope of its own. Read by the letter, its
 * allowed_egress counts as its network scope; the gate takes every host that the layers leave.
 */
export function isDisputed(config: OConfig, input: OInput): boolean {
  const tool = input.capability;
  if (tool?.networkAccess !== 'full' || tool.scopes.some((scope) => scope.type === 'network')) return false;
  const open: OTool = { ...tool, scopes: [...tool.scopes, { type: 'network', posture: 'full' }] };
  const differ = (text: string): boolean =>
    urlAllowed(config, text) &&
    urlInForce(config, input, tool, text) !== urlInForce(config, input, open, text);
  return (
    scopeDenials(config, input, tool).length !== scopeDenials(config, input, open).length ||
    urlArguments(tool, input.args).some(differ)
  );
}
