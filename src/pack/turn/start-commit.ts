// Owns the first commit of a turn: the session's birth, a turn that was left behind, what is new, and the turn's start,
// all or nothing, before the provider is called.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { cutTo } from '../../base/text.ts';
import { variablesOf } from '../../config/profile-env.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { RunContext } from '../../kernel/identity.ts';
import type { Append, Commit, RowWrite } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import { sealedEntry } from '../sessions/conversation.ts';
import type { Entry } from '../sessions/conversation.ts';
import { factsToEvidence } from '../sessions/session-events.ts';
import type { OpenTurn } from '../sessions/session.ts';
import { deadlineOf } from './prepare.ts';
import type { PreparedTurn } from './prepare.ts';
import { closedItem } from './escalation.ts';
import { closedCallRow, runRow, sessionRow } from './rows.ts';

// Evidence is for reading; the exact words are sealed beside it.
const SHOWN_CHARS = 2000;
const SHOWN_MESSAGES = 20;

/** Of what was redacted as a whole: a cut secret is no longer recognized. */
export function cutContent(shown: JsonObject): JsonObject {
  const { content } = shown;
  return typeof content !== 'string' || content.length <= SHOWN_CHARS
    ? shown
    : { ...shown, content: cutTo(content, SHOWN_CHARS), cut_from: content.length };
}

function shownEntry(entry: Entry): JsonObject {
  switch (entry.from) {
    case 'host':
      return { from: 'host', role: entry.role, content: entry.content };
    case 'model':
      return { from: 'model', content: entry.content };
    case 'call': {
      const { callId, tool, source, late } = entry;
      const about = { from: 'call', tool_call_id: callId, tool, source, late };
      // What the kernel recorded stands in its own record; what a host reported stands nowhere else.
      return source === 'host' ? { content: entry.content, ...about } : about;
    }
  }
}

/** A call that is told as not run may never run afterwards (E2): its id is taken, in the kernel's own form. */
function closedRows(turn: PreparedTurn, policyDigest: string, at: EpochMs): RowWrite[] {
  const rows: RowWrite[] = [];
  for (const { closed } of turn.news.told) {
    if (closed === undefined) continue;
    const { by, call } = closed;
    const how = {
      by,
      reason: by === 'host' ? 'the host reported a result of its own' : 'not_executed: nobody ran it',
      sideEffect: by === 'host' ? 'side_effect_unknown' : 'not_executed',
      policyDigest,
      at,
    };
    rows.push(closedCallRow(turn.facts, call, how, 'absent'));
  }
  return rows;
}

interface TurnRecord {
  type: string;
  evidence: JsonObject;
  sealed?: JsonObject;
}

/** Of a turn whose process is gone. */
export function abandonedRecord(abandoned: OpenTurn, context: RunContext): TurnRecord {
  const { runId, traceId, turnIndex } = abandoned;
  const left = { ...contextFacts(context), run_id: runId, trace_id: traceId };
  const evidence = { turn_index: turnIndex, code: 'INTERNAL', reason: 'process_ended', ...left };
  return { type: 'turn_failed', evidence };
}

function bornEvidence({ context, facts }: PreparedTurn): JsonObject {
  return Object.assign(contextFacts(context), factsToEvidence(facts));
}

/** What the call of this turn may read and reach: its own profile's, and nothing for a model of this process. */
function grantOf({ profile, provider }: PreparedTurn): JsonObject {
  if (provider.kind === 'scripted') return {};
  const url = URL.canParse(provider.baseUrl) ? new URL(provider.baseUrl) : undefined;
  const port = url?.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url?.port;
  return {
    required_env: variablesOf(profile).sort(),
    // Without its variable a profile has no address yet, and the call is refused.
    network_allowlist: url === undefined ? [] : [`${url.hostname}:${port ?? ''}`],
  };
}

function startedEvidence(deps: PackDeps, turn: PreparedTurn, at: EpochMs): JsonObject {
  const { news, profile, provider, input } = turn;
  const shown = deps.kernel.redact({ messages: news.entries.slice(0, SHOWN_MESSAGES).map(shownEntry) });
  return {
    turn_index: turn.turnIndex,
    ...contextFacts(turn.context),
    run_started: turn.isNewRun,
    has_user_message: news.hasUserMessage,
    intent: turn.intent.label,
    model_profile: profile.name,
    provider: { kind: provider.kind, model: provider.model },
    configured_base_url: provider.baseUrl,
    ...grantOf(turn),
    response_mode: input.stream === true ? 'streaming' : 'non_streaming',
    input_bytes: turn.inputBytes,
    max_input_bytes: turn.maxInputBytes,
    tools_offered: turn.tools.map((tool) => tool.definition.id),
    instance: deps.instance,
    deadline_at: deadlineOf(profile, at),
    told: news.told.map(({ callId, as, source, closed }) => ({
      tool_call_id: callId,
      as,
      source,
      ...(closed === undefined ? {} : { closed_by: closed.by }),
    })),
    message_count: news.entries.length,
    messages: (shown.value.messages as JsonObject[]).map(cutContent),
    ...(shown.fields.length === 0 ? {} : { redacted_fields: shown.fields }),
  };
}

/** A turn that goes on with a run changes nothing that a list shows, so its rows wait for its outcome. */
function isShown({ held, context }: PreparedTurn): boolean {
  if (held?.state.status !== 'open') return false;
  return held.shown?.runId === context.runId && held.shown.runStatus === 'in_progress';
}

const UNDER_WAY = { status: 'open', lastStatus: 'in_progress', runStatus: 'in_progress' } as const;

/** Everything that must be recorded before the provider is called. */
export function startCommit(deps: PackDeps, turn: PreparedTurn): Commit & { appends: Append[] } {
  const at = deps.clock.now();
  const { held, chain, abandoned, turnIndex } = turn;
  const records: TurnRecord[] = [];
  if (held === undefined) records.push({ type: 'session_started', evidence: bornEvidence(turn) });
  if (abandoned !== undefined) records.push(abandonedRecord(abandoned, turn.context));
  records.push({
    type: 'turn_started',
    evidence: startedEvidence(deps, turn, at),
    sealed: { entries: turn.news.entries.map(sealedEntry) },
  });
  const seq = held?.state.seq ?? 0;
  const closed = [...closedRows(turn, deps.config.policy.digest, at), ...closedItem(turn.item, at)];
  return {
    appends: records.map((record, index) => ({ chain, when: { seq: seq + index }, at, ...record })),
    rows: isShown(turn)
      ? closed
      : [
          sessionRow(turn, { turnCount: turnIndex + 1, ...UNDER_WAY }, at),
          runRow(turn, 'in_progress', { turn_index: turnIndex }, at),
          ...closed,
        ],
    counters: [{ key: turn.counter, add: 1 }],
  };
}
