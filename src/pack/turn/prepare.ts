// Owns everything that a turn needs before it is admitted: the session, the profile, the intent, what is new, the tools,
// the limits. It reads and judges; it writes nothing.
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { SessionBinding } from '../../kernel/call.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import type { ModelMessage, ModelProfile, ModelProvider } from '../../providers/contract.ts';
import type { ChainKey, StoredRow } from '../../store/contract.ts';
import type { Series } from '../../base/series.ts';
import type { PackDeps } from '../deps.ts';
import { untakenMessages } from '../managed/inputs.ts';
import { TASK_TYPE } from '../records.ts';
import { sessionChainOf } from '../sessions/sessions.ts';
import type { HeldSession, Sessions } from '../sessions/sessions.ts';
import type { LiveState, OpenTurn, SessionFacts } from '../sessions/session.ts';
import { assertPrecheck, assertSameDelegation, delegationOf } from './authorize.ts';
import type { TurnInput } from './contract.ts';
import { itemOf } from './escalation.ts';
import { intentToPin, turnIntent } from './intents.ts';
import type { TurnIntent } from './intents.ts';
import { assertWithinLimits, limitsOf, tightened, tightest } from './limits.ts';
import { conversationFor, instruction } from './messages.ts';
import type { OfferedTool } from './messages.ts';
import { newEntries } from './new-entries.ts';
import type { NewEntries } from './new-entries.ts';

/** A pack's own memory: sessions held, and turns of this process that are under way. */
export interface TurnRoom {
  deps: PackDeps;
  sessions: Sessions;
  /** Sessions with a turn under way in this process, by their owner's name for them. */
  running: Set<string>;
}

export interface PreparedTurn {
  caller: Caller;
  input: TurnInput;
  chain: ChainKey;
  facts: SessionFacts;
  /** undefined: the session begins with this turn. */
  held: HeldSession | undefined;
  context: RunContext;
  binding: SessionBinding;
  intent: TurnIntent;
  profile: ModelProfile;
  provider: ModelProvider;
  turnIndex: number;
  isNewRun: boolean;
  news: NewEntries;
  messages: ModelMessage[];
  tools: readonly OfferedTool[];
  /** Why no tool is offered, when a bound of calls is reached. */
  exhausted: string | undefined;
  inputBytes: number;
  maxInputBytes: number;
  /** Counts the turns of the session. */
  counter: string;
  /** A turn whose process ended without an outcome; settled in this turn's start. */
  abandoned: OpenTurn | undefined;
  /** What an operator was handed and this turn takes back. */
  item: StoredRow | undefined;
}

/** Counts the turns of a session; the outcome commit holds only while it still counts this one as the last. */
export function turnCounter({ tenant, id }: Pick<SessionFacts, 'tenant' | 'id'>): string {
  return `${encodeURIComponent(tenant)}|turns|${encodeURIComponent(id)}`;
}

/** Time in which a provider call that reached its deadline is still being written down. */
const SETTLE_MS = 10_000;

export function deadlineOf(profile: ModelProfile, now: number): number {
  return now + profile.deadlineMs + SETTLE_MS;
}

/** What a new session is bound to for good. */
export function mintFacts(
  { config, ids, clock }: PackDeps,
  caller: Caller,
  input: TurnInput,
  sessionId?: string,
): SessionFacts {
  const intent = intentToPin(config, input.intent);
  return {
    id: sessionId ?? ids.next('ses'),
    kind: 'agent',
    tenant: caller.tenant,
    principal: caller.principal,
    actor: caller.actor,
    agentId: config.agent.id,
    lane: caller.lane,
    task: TASK_TYPE,
    ...(intent === undefined ? {} : { intent }),
    limits: tightened(limitsOf(config.limits), input.limits),
    delegation: delegationOf(config, caller, input.authorization),
    startedAt: clock.now(),
  };
}

function profileOf(config: RuntimeConfig, name: string | undefined): ModelProfile {
  const wanted = name ?? config.models.default;
  const profile = Object.hasOwn(config.models.profiles, wanted) ? config.models.profiles[wanted] : undefined;
  if (profile !== undefined) return profile;
  throw new RuntimeError(
    'CONFIGURATION_ERROR',
    `There is no model profile ${JSON.stringify(wanted.slice(0, 80))}.`,
    {
      field: '/model_profile',
      configured: Object.keys(config.models.profiles),
    },
  );
}

function assertUrl(asked: string | undefined, provider: ModelProvider): void {
  if (asked === undefined) return;
  const configured = provider.baseUrl;
  const normal = URL.canParse(asked) ? new URL(asked).href : asked;
  const own = URL.canParse(configured) ? new URL(configured).href : configured;
  if (own !== '' && normal === own) return;
  throw new RuntimeError('INVALID_INPUT', '/url: must be the configured base URL of the model profile', {
    field: '/url',
    configured_base_url: configured,
    requested_url: asked,
  });
}

async function abandonedTurn(
  { deps }: TurnRoom,
  state: LiveState | undefined,
): Promise<OpenTurn | undefined> {
  const open = state?.openTurn;
  if (state === undefined || open === undefined) return undefined;
  // Within this process only one turn of a session gets here, so one of ours that is still open has lost its outcome.
  if (open.instance === deps.instance || deps.clock.now() > open.deadlineAt) return open;
  if (!(await deps.isAlive(open.instance))) return open;
  throw turnUnderWay(state.facts.id);
}

export function turnUnderWay(sessionId: string): RuntimeError {
  return new RuntimeError('CONFLICT', 'Another turn of this session is under way.', {
    session_id: sessionId,
  });
}

function bindingOf(facts: SessionFacts, intent: TurnIntent): SessionBinding {
  return {
    id: facts.id,
    startedAt: facts.startedAt,
    actor: facts.actor,
    lane: facts.lane,
    task: facts.task,
    limits: { maxIterations: facts.limits.turns, maxCalls: facts.limits.toolCalls },
    ...(intent.session === undefined ? {} : { intent: intent.session }),
  };
}

async function offeredTools(
  room: TurnRoom,
  context: RunContext,
  binding: SessionBinding,
  input: TurnInput,
): Promise<readonly OfferedTool[]> {
  const { kernel, config } = room.deps;
  const reachable = await kernel.tools(context, binding);
  const { tool_catalog: catalog } = input;
  if (catalog === undefined) return reachable;
  const names = new Set(catalog.map((entry) => entry.name));
  return reachable.filter(({ definition: { id } }) => {
    const name = Object.hasOwn(config.capabilities, id) ? config.capabilities[id]?.name : undefined;
    return names.has(id) || (name !== undefined && names.has(name));
  });
}

interface CallBounds {
  toolCalls: number;
  maxToolCalls: number;
  hops: number;
  maxHops: number;
}

function exhaustion(bounds: CallBounds): string | undefined {
  const { toolCalls, maxToolCalls, hops, maxHops } = bounds;
  if (toolCalls >= maxToolCalls)
    return `tool calls of this session are used up (${toolCalls} of ${maxToolCalls})`;
  return hops >= maxHops ? `tool hops of this run are used up (${hops} of ${maxHops})` : undefined;
}

function contextOf(
  room: TurnRoom,
  caller: Caller,
  facts: SessionFacts,
  from: { run: { runId: string; traceId: string } | undefined; externalRunId: string | undefined },
): RunContext {
  const { ids } = room.deps;
  return {
    caller,
    agentId: facts.agentId,
    sessionId: facts.id,
    runId: from.run?.runId ?? ids.next('run'),
    traceId: from.run?.traceId ?? ids.next('trace'),
    taskType: TASK_TYPE,
    delegation: facts.delegation,
    ...(from.externalRunId === undefined ? {} : { externalRunId: from.externalRunId }),
  };
}

/** The session of a turn: loaded, or minted. Throws NOT_FOUND. */
export async function sessionFor(
  room: TurnRoom,
  caller: Caller,
  input: TurnInput,
  series?: Series,
): Promise<{ held: HeldSession | undefined; facts: SessionFacts }> {
  if (input.session_id === undefined) return { held: undefined, facts: mintFacts(room.deps, caller, input) };
  const held = await room.sessions.load(caller, input.session_id, series);
  return { held, facts: held.state.facts };
}

function assertContinues(
  { deps, caller }: { deps: PackDeps; caller: Caller },
  state: LiveState | undefined,
  input: TurnInput,
): void {
  if (state === undefined) return;
  assertPrecheck(deps.config, caller, state.facts.agentId);
  if (state.status === 'closed') {
    const status = state.finalStatus === 'complete' ? 'completed' : state.finalStatus;
    throw new RuntimeError('SESSION_CLOSED', undefined, { session_id: state.facts.id, status });
  }
  assertSameDelegation(state.facts.delegation, input.authorization);
}

/** Reads and judges; throws the RuntimeError of the first check that fails. Nothing has been written. */
export async function prepareTurn(
  room: TurnRoom,
  caller: Caller,
  input: TurnInput,
  session: { held: HeldSession | undefined; facts: SessionFacts },
): Promise<PreparedTurn> {
  const { deps } = room;
  const { held, facts } = session;
  const state = held?.state;
  assertContinues({ deps, caller }, state, input);
  const abandoned = await abandonedTurn(room, state);
  const profile = profileOf(deps.config, input.model_profile);
  const provider = await deps.model(profile);
  assertUrl(input.url, provider);
  const intent = turnIntent(deps.config, facts.intent, input);
  const limits = tightened(tightest(facts.limits, limitsOf(deps.config.limits)), input.limits);
  const waiting = await untakenMessages(deps.store, held);
  const news = await newEntries(room, caller, held, [...waiting, ...input.messages]);
  const said = held === undefined ? undefined : await room.sessions.conversation(held);
  const { messages, bytes: inputBytes } = conversationFor(said, news.entries);
  const toolCalls = (state?.callCount ?? 0) + news.told.filter((one) => one.closed?.by === 'host').length;
  assertWithinLimits(state, limits, { inputBytes, toolCalls, tellsResult: news.tellsResult });
  const context = contextOf(room, caller, facts, { run: state?.run, externalRunId: input.external_run_id });
  const binding = bindingOf(facts, intent);
  const exhausted = exhaustion({
    toolCalls,
    maxToolCalls: limits.toolCalls,
    hops: news.hasUserMessage ? 0 : (state?.run?.hops ?? 0),
    maxHops: deps.config.runtime.maxToolHops,
  });
  return {
    caller,
    input,
    chain: sessionChainOf(facts.tenant, facts.id),
    facts,
    held,
    context,
    binding,
    intent,
    profile,
    provider,
    turnIndex: state?.turnCount ?? 0,
    isNewRun: state?.run === undefined,
    news,
    messages: [{ role: 'system', content: instruction(intent.offered) }, ...messages],
    tools: exhausted === undefined ? await offeredTools(room, context, binding, input) : [],
    exhausted,
    inputBytes,
    maxInputBytes: limits.inputBytes,
    counter: turnCounter(facts),
    abandoned,
    item: await itemOf(deps.store, state),
  };
}
