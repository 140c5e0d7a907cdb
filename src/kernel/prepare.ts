// Owns the first step of a call: from an untrusted request to the one checked object that everybody after reads.
import { canonicalJson, checkJson, DEFAULT_JSON_LIMITS, isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { showCut } from '../base/text.ts';
import type { Capability } from '../config/types.ts';
import { actionDigest } from './approvals/digests.ts';
import type { Action } from './approvals/digests.ts';
import { controlsKey, countedUse, repeatKey, repeatsIn } from './budgets/counters.ts';
import type { CountedSession } from './budgets/counters.ts';
import type { CallRequest } from './call.ts';
import type { KernelDeps } from './deps.ts';
import { sessionChain } from './evidence/receipts.ts';
import type { ToolDefinition } from './execution/executor.ts';
import { consequenceOf } from './policy/decision.ts';
import type { Decision, DecisionInput, PinState } from './policy/decision.ts';
import { grantedAuthority, isOwn, OWN } from './policy/authority.ts';
import { resolvePaths } from './policy/resolve-paths.ts';

export interface PreparedCall {
  request: CallRequest;
  input: DecisionInput;
  capability: Capability | undefined;
  definition: ToolDefinition | undefined;
  args: JsonObject;
  counted: CountedSession;
  /** The count of this exact call, as it was read. */
  repeated: { key: string; value: number };
  /** Where rules look back: the count of calls begun in this session, and what it was when this one's past was read. */
  ordered?: { key: string; is?: number };
  /** The count of freezes and revocations when everything here was read. */
  controls: number;
  /** Made when it is first asked for: a call that is only looked at needs none. */
  readonly actionDigest: () => string;
  /** Where the grant of its delegation is gone: the digest that it had before. */
  readonly grantedDigest: (() => string) | undefined;
}

function pinText(pin: PinState): string {
  return pin.state === 'pinned' || pin.state === 'declared' ? pin.digest : pin.state;
}

/** Throws INVALID_INPUT. */
export function parseArgs(raw: unknown): JsonObject {
  const value = checkJson(raw ?? {}, DEFAULT_JSON_LIMITS);
  if (!isObject(value)) {
    throw new RuntimeError('INVALID_INPUT', 'arguments must be an object', { field: '/arguments' });
  }
  return value;
}

/** The facts, or the denial that is all that can be decided without them. */
export type Prepared = { ok: true; call: PreparedCall } | { ok: false; decision: Decision };

/** An exception is a deny; only an outage of the store is told as what it is. */
function kernelError(deps: KernelDeps, thrown: unknown): Decision {
  const { code, message } = asRuntimeError(thrown);
  if (code === 'STORE_UNAVAILABLE' || code === 'STORE_CORRUPT') throw thrown;
  const reason = deps.redactor.text(`what deciding needs could not be gathered: ${code}: ${message}`);
  return {
    verdict: 'deny',
    ruleId: 'kernel_error',
    layer: 'kernel',
    reasons: [showCut(reason, 240)],
    aliases: ['kernel_error'],
    onDeny: consequenceOf(deps.config.policy, 'kernel_error'),
    policyDigest: deps.config.policy.digest,
    attributes: {},
    scopes: { requested: [], allowed: [] },
    others: [],
  };
}

/** Gathers the facts that deciding needs, and binds everything to one digest. Rejects only when the store is out. */
export async function prepareCall(
  deps: KernelDeps,
  request: CallRequest,
  args: JsonObject,
): Promise<Prepared> {
  try {
    return { ok: true, call: await gather(deps, request, args) };
  } catch (thrown) {
    return { ok: false, decision: kernelError(deps, thrown) };
  }
}

/** What the call's tool is by now, with its schema ready. What our own configuration declares, no pin file changes. */
async function definitionOf(
  { directory, gate }: KernelDeps,
  tool: string,
  capability: Capability | undefined,
): Promise<ToolDefinition | undefined> {
  if (capability === undefined) return undefined;
  const { transport } = capability;
  if (transport === 'mcp_stdio' || transport === 'mcp_http') await directory.refresh?.();
  const definition = directory.definition(tool);
  if (definition !== undefined) await gate.prepare(definition);
  return definition;
}

type LookedBack = Pick<DecisionInput, 'past'> & Pick<PreparedCall, 'ordered'>;

const NOTHING_BACK: LookedBack = {};

/** The session's past, where a rule about this tool asks for it, and the order that it holds in. */
async function lookBack(deps: KernelDeps, request: CallRequest): Promise<LookedBack> {
  const key = `${encodeURIComponent(request.context.caller.tenant)}|past|${request.session.id}`;
  if (!deps.gate.looksBack(request.tool)) return { ordered: { key } };
  // Before the records: a call that starts in between moves it, and this decision is made again.
  const is = await deps.store.counter(key);
  const past = await deps.past?.(sessionChain(request));
  return { ordered: { key, is }, ...(past === undefined ? {} : { past }) };
}

function countedOf({ context: { caller }, session }: CallRequest): CountedSession {
  const { tenant, principal } = caller;
  return {
    tenant,
    principal,
    sessionId: session.id,
    startedAt: session.startedAt,
    limits: session.limits,
  };
}

/** Everything that decides what happens. */
function actionOf(
  { request, args, policyDigest }: { request: CallRequest; args: JsonObject; policyDigest: string },
  pin: PinState,
  isRevoked: boolean,
): Action {
  const { context, session, tool } = request;
  return {
    tenant: context.caller.tenant,
    principal: context.caller.principal,
    actor: session.actor,
    agent: context.agentId,
    delegation: isRevoked ? { ...context.delegation, revoked: true } : context.delegation,
    session: session.line ?? session.id,
    tool,
    args,
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    pin: pinText(pin),
    policy: policyDigest,
  };
}

function boundTo({ id, lane, task, actor, intent }: CallRequest['session']): DecisionInput['session'] {
  return { id, lane, task, actor, ...(intent === undefined ? {} : { intent }) };
}

type Known = Pick<DecisionInput, 'pin' | 'paths' | 'history'>;
type Given = { [Name in 'grants' | 'past' | 'capability' | 'inputSchema' | 'limits']: DecisionInput[Name] };

/** What the gate looks at; what there is none of is left out. */
function inputOf(request: CallRequest, args: JsonObject, known: Known, given: Given): DecisionInput {
  const { context, session, tool } = request;
  const { caller, delegation, agentId } = context;
  const { pin, paths, history } = known;
  const input: DecisionInput = {
    tool,
    args,
    caller,
    delegation,
    agentId,
    session: boundTo(session),
    pin,
    paths,
    history,
  };
  if (given.grants !== undefined) input.grants = given.grants;
  if (given.past !== undefined) input.past = given.past;
  if (given.capability !== undefined) input.capability = given.capability;
  if (given.inputSchema !== undefined) input.inputSchema = given.inputSchema;
  if (given.limits !== undefined) input.limits = given.limits;
  return input;
}

async function gather(deps: KernelDeps, request: CallRequest, args: JsonObject): Promise<PreparedCall> {
  const { config } = deps;
  const { context, session, tool } = request;
  const capability = Object.hasOwn(config.capabilities, tool) ? config.capabilities[tool] : undefined;
  const now = deps.clock.now();
  const counted = countedOf(request);
  const used = countedUse(config.policy, counted, now);
  const repeatsOf = repeatKey(counted, tool, canonicalJson(args));
  // Before everything else that is relied on: what is frozen or revoked from here on is seen at the commit.
  const [controls = 0, value = 0, ...uses] = await deps.store.counters([
    controlsKey(counted.tenant),
    repeatsOf,
    ...used.keys,
  ]);
  const repeats = repeatsIn(value, now, config.policy.cycle.windowSeconds);
  const definition = await definitionOf(deps, tool, capability);
  const pin: PinState = definition?.pin ?? { state: 'unpinned' };
  const paths = capability === undefined ? [] : await resolvePaths(args, capability, config);
  const authority = isOwn(context.delegation)
    ? OWN
    : await grantedAuthority(deps, context.delegation, session.actor);
  const back = deps.gate.ordersCalls ? await lookBack(deps, request) : NOTHING_BACK;
  const history = used.history(uses, repeats);
  const input = inputOf(
    request,
    args,
    { pin, paths, history },
    {
      grants: authority.grants,
      past: back.past,
      capability,
      inputSchema: definition?.inputSchema,
      limits: session.limits,
    },
  );
  if (request.idempotencyKey?.isWellFormed() === false) {
    throw new RuntimeError('INVALID_INPUT', 'the idempotency key has no canonical form');
  }
  const { isRevoked } = authority;
  const action = { request, args, policyDigest: config.policy.digest };
  let digest: string | undefined;
  const call: PreparedCall = {
    request,
    input,
    capability,
    definition,
    args,
    counted,
    repeated: { key: repeatsOf, value },
    controls,
    actionDigest: () => (digest ??= actionDigest(actionOf(action, pin, isRevoked))),
    grantedDigest: isRevoked ? () => actionDigest(actionOf(action, pin, false)) : undefined,
  };
  if (back.ordered !== undefined) call.ordered = back.ordered;
  return call;
}
