// Owns the CEL of policy rules: the variables, compiling once with positions in errors, and a total evaluation.
// JSON integers become CEL ints, other numbers doubles; arithmetic between the two is defined here as double.
import { Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { Capability } from '../../config/types.ts';
import { CEL_LIMITS, celShape, isAffordable, MAX_EXPRESSION_LENGTH } from './cel-cost.ts';
import { CelPast, registerPast } from './cel-past.ts';
import { isOrdinary, plainTest } from './cel-plain.ts';
import type { PlainTest } from './cel-plain.ts';
import type { DecisionInput } from './decision.ts';

type CelValue = null | boolean | number | bigint | string | CelValue[] | { [key: string]: CelValue };

class CelIdentity {
  readonly tenant: string;
  readonly principal: string;
  readonly actor: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly authorization_mode: string;
  readonly delegated_principal_id: string;
  constructor({ caller, delegation }: DecisionInput) {
    this.tenant = caller.tenant;
    this.principal = caller.principal;
    this.actor = caller.actor;
    this.roles = caller.roles;
    this.scopes = caller.scopes;
    this.authorization_mode = delegation.mode;
    this.delegated_principal_id = delegation.delegatedPrincipalId;
  }
}

class CelSession {
  readonly id: string;
  readonly intent: string;
  readonly lane: string;
  readonly task: string;
  constructor({ session }: DecisionInput) {
    this.id = session.id;
    this.intent = session.intent ?? '';
    this.lane = session.lane;
    this.task = session.task;
  }
}

class CelTool {
  readonly id: string;
  readonly name: string;
  readonly server: string;
  readonly mode: string;
  readonly permission: string;
  readonly version: string;
  readonly pack: string;
  readonly risk: string;
  constructor(capability: Capability) {
    this.id = capability.id;
    this.name = capability.name;
    this.server = capability.server ?? '';
    this.mode = capability.mode;
    this.permission = capability.permission;
    this.version = capability.version;
    this.pack = capability.pack;
    this.risk = capability.risk;
  }
}

class CelHistory {
  readonly repeats: bigint;
  readonly iterations: bigint;
  readonly tokens: bigint;
  readonly calls: bigint;
  readonly effects: bigint;
  readonly cost_usd: number;
  readonly wall_seconds: number;
  constructor({ history: { repeats, session } }: DecisionInput) {
    this.repeats = BigInt(Math.ceil(repeats));
    this.iterations = BigInt(Math.ceil(session.iterations));
    this.tokens = BigInt(Math.ceil(session.tokens));
    this.calls = BigInt(Math.ceil(session.calls));
    this.effects = BigInt(Math.ceil(session.effects));
    if (!Number.isFinite(session.costUsd) || !Number.isFinite(session.wallSeconds)) {
      throw new RuntimeError('INTERNAL', 'a usage value is not a finite number');
    }
    this.cost_usd = session.costUsd;
    this.wall_seconds = session.wallSeconds;
  }
}

function celNumber(value: number): number | bigint {
  if (!Number.isFinite(value)) throw new RuntimeError('INTERNAL', 'an argument is not a finite number');
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function celValue(value: JsonValue): CelValue {
  if (typeof value === 'number') return celNumber(value);
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map(celValue) : celObject(value);
}

// Checked JSON is at most 64 deep, so this recursion is bounded.
function celObject(value: JsonObject): Record<string, CelValue> {
  const out: Record<string, CelValue> = {};
  for (const key of Object.keys(value)) out[key] = celValue(value[key] ?? null);
  return out;
}

/** The variables of one decision; each is built when a rule first looks at it. */
export class CelInput {
  readonly #input: DecisionInput;
  readonly tool: CelTool;
  #args: Record<string, CelValue> | undefined;
  #identity: CelIdentity | undefined;
  #session: CelSession | undefined;
  #history: CelHistory | undefined;
  #past: CelPast | undefined;
  #isOrdinary: boolean | undefined;
  constructor(input: DecisionInput, tool: CelTool) {
    this.#input = input;
    this.tool = tool;
  }
  get rawArgs(): JsonObject {
    return this.#input.args;
  }
  /** Whether plain tests may be asked. */
  get isOrdinary(): boolean {
    return (this.#isOrdinary ??= isOrdinary(this.#input.args));
  }
  get args(): Record<string, CelValue> {
    return (this.#args ??= celObject(this.#input.args));
  }
  get identity(): CelIdentity {
    return (this.#identity ??= new CelIdentity(this.#input));
  }
  get session(): CelSession {
    return (this.#session ??= new CelSession(this.#input));
  }
  get past(): CelPast {
    return (this.#past ??= new CelPast(this.#input));
  }
  get history(): CelHistory {
    return (this.#history ??= new CelHistory(this.#input));
  }
}

export function celTool(capability: Capability): CelTool {
  return new CelTool(capability);
}
export type { CelTool };

function createEnvironment(): Environment {
  const text = (...names: string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, 'string']));
  const identity = text('tenant', 'principal', 'actor', 'authorization_mode', 'delegated_principal_id');
  const ints = Object.fromEntries(
    ['repeats', 'iterations', 'tokens', 'calls', 'effects'].map((name) => [name, 'int']),
  );
  const environment = new Environment({ limits: CEL_LIMITS })
    .registerType('Identity', {
      ctor: CelIdentity,
      fields: { ...identity, roles: 'list<string>', scopes: 'list<string>' },
    })
    .registerType('Session', { ctor: CelSession, fields: text('id', 'intent', 'lane', 'task') })
    .registerType('Tool', {
      ctor: CelTool,
      fields: text('id', 'name', 'server', 'mode', 'permission', 'version', 'pack', 'risk'),
    })
    .registerType('History', {
      ctor: CelHistory,
      fields: { ...ints, cost_usd: 'double', wall_seconds: 'double' },
    })
    .registerVariable('args', 'map<string, dyn>')
    .registerVariable('identity', 'Identity')
    .registerVariable('session', 'Session')
    .registerVariable('tool', 'Tool')
    .registerVariable('history', 'History');
  const mixed: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
  };
  for (const [operator, apply] of Object.entries(mixed)) {
    const handler = (left: number | bigint, right: number | bigint): number =>
      apply(Number(left), Number(right));
    environment.registerOperator(`int ${operator} double`, handler);
    environment.registerOperator(`double ${operator} int`, handler);
  }
  return registerPast(environment);
}

let shared: Environment | undefined;

/** `true`, `false`, or why the expression has no answer. */
export type CelAnswer = boolean | { problem: string };
export type CompiledCel = ((input: CelInput) => CelAnswer) & {
  /** It asks for the session's past. */
  readonly looksBack: boolean;
};

function refuseRule(ruleId: string, why: string, at: number): never {
  throw new RuntimeError('CONFIGURATION_ERROR', `rule ${ruleId}, character ${at + 1} of when: ${why}`, {
    field: 'when',
    rule_id: ruleId,
    position: at,
  });
}

function refuseError(ruleId: string, error: unknown): never {
  const isOurs = error instanceof ParseError || error instanceof EvaluationError;
  const known = error as { summary?: unknown; range?: { start?: unknown } };
  const summary = typeof known.summary === 'string' ? known.summary : 'is not a CEL expression';
  const start = known.range?.start;
  refuseRule(
    ruleId,
    isOurs || typeof known.summary === 'string' ? summary : 'does not compile',
    Number(start ?? 0),
  );
}

/** What a throw means, the interpreter says: beside a `false`, it can mean nothing. */
function askPlain(plain: PlainTest, input: CelInput): boolean | undefined {
  try {
    return input.isOrdinary ? plain(input) : undefined;
  } catch {
    return undefined;
  }
}

/** Compiles one `when`; throws CONFIGURATION_ERROR naming rule and position. */
export function compileCel(ruleId: string, expression: string): CompiledCel {
  if (expression.length > MAX_EXPRESSION_LENGTH) {
    refuseRule(ruleId, `is longer than ${MAX_EXPRESSION_LENGTH} characters`, MAX_EXPRESSION_LENGTH);
  }
  shared ??= createEnvironment();
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = shared.parse(expression);
  } catch (error) {
    refuseError(ruleId, error);
  }
  const shape = celShape(parsed.ast);
  if (shape.refused !== undefined) refuseRule(ruleId, shape.refused.why, shape.refused.at);
  const checked = parsed.check();
  if (!checked.valid) refuseError(ruleId, checked.error);
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    refuseRule(ruleId, `gives ${checked.type ?? 'no type'}, not a bool`, 0);
  }
  const plain = plainTest(parsed.ast);
  const answer = (input: CelInput): CelAnswer => {
    try {
      const known = plain === undefined ? undefined : askPlain(plain, input);
      if (known !== undefined) return known;
      if (!isAffordable(shape, input.rawArgs))
        return { problem: 'the arguments are too large to evaluate it' };
      const given: unknown = parsed(input);
      return typeof given === 'boolean' ? given : { problem: 'it gave no bool' };
    } catch (error) {
      const { summary } = error as { summary?: unknown };
      if (typeof summary === 'string') return { problem: summary };
      return { problem: error instanceof RuntimeError ? error.message : 'it could not be evaluated' };
    }
  };
  return Object.assign(answer, { looksBack: shape.looksBack });
}
