// Owns the first commit of a turn: the session's birth, a turn that was left behind, what is new, and the turn's start,
// all or nothing, before the provider is called.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { Append, Commit, RowWrite } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import { sealedEntry } from '../sessions/conversation.ts';
import type { Entry } from '../sessions/conversation.ts';
import { factsToEvidence } from '../sessions/session-events.ts';
import type { SessionFacts } from '../sessions/session.ts';
import { deadlineOf } from './prepare.ts';
import type { PreparedTurn } from './prepare.ts';
import { closedCallRow, runRow, sessionRow } from './rows.ts';

// Evidence is for reading; the exact words are sealed beside it.
const SHOWN_CHARS = 2000;
const SHOWN_MESSAGES = 20;

export function shownText(text: string): JsonObject {
  return text.length <= SHOWN_CHARS
    ? { content: text }
    : { content: text.slice(0, SHOWN_CHARS).toWellFormed(), cut_from: text.length };
}

function shownEntry(entry: Entry): JsonObject {
  switch (entry.from) {
    case 'host':
      return { from: 'host', role: entry.role, ...shownText(entry.content) };
    case 'model':
      return { from: 'model', ...shownText(entry.content) };
    case 'call': {
      const { callId, tool, source, late } = entry;
      const about = { from: 'call', tool_call_id: callId, tool, source, late };
      // What the kernel recorded stands in its own record; what a host reported stands nowhere else.
      return source === 'host' ? { ...shownText(entry.content), ...about } : about;
    }
  }
}

/** Counts the turns of a session; the outcome commit holds only while it still counts this one as the last. */
export function turnCounter(facts: SessionFacts): string {
  return `${encodeURIComponent(facts.tenant)}|turns|${encodeURIComponent(facts.id)}`;
}

/** A call that is told as not run may never run afterwards (E2): its id is taken, in the kernel's own form. */
function closedRows(turn: PreparedTurn, policyDigest: string, at: EpochMs): RowWrite[] {
  return turn.news.told.flatMap(({ closed }): RowWrite[] => {
    if (closed === undefined) return [];
    const { by, call } = closed;
    const how = {
      by,
      reason: by === 'host' ? 'the host reported a result of its own' : 'not_executed: nobody ran it',
      sideEffect: by === 'host' ? 'side_effect_unknown' : 'not_executed',
      policyDigest,
      at,
    };
    return [closedCallRow(turn.facts, call, how, 'absent')];
  });
}

function abandonedRecord(turn: PreparedTurn): { type: string; evidence: JsonObject }[] {
  const { abandoned, context } = turn;
  if (abandoned === undefined) return [];
  const { runId, traceId, turnIndex } = abandoned;
  const left = { ...contextFacts(context), run_id: runId, trace_id: traceId };
  const evidence = { turn_index: turnIndex, code: 'INTERNAL', reason: 'process_ended', ...left };
  return [{ type: 'turn_failed', evidence }];
}

function bornEvidence({ context, facts }: PreparedTurn): JsonObject {
  return Object.assign(contextFacts(context), factsToEvidence(facts));
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
    ...shown.value,
    message_count: news.entries.length,
    ...(shown.fields.length === 0 ? {} : { redacted_fields: shown.fields }),
  };
}

/** A turn that goes on with a run changes nothing that a list shows, so its rows wait for its outcome. */
function isShown({ held, context }: PreparedTurn): boolean {
  if (held === undefined || held.state.status !== 'open' || held.state.managed !== undefined) return false;
  return held.shown?.runId === context.runId && held.shown.runStatus === 'in_progress';
}

/** Everything that must be recorded before the provider is called. */
export function startCommit(deps: PackDeps, turn: PreparedTurn): Commit & { appends: Append[] } {
  const at = deps.clock.now();
  const { held, facts, chain } = turn;
  const records: { type: string; evidence: JsonObject; sealed?: JsonObject }[] = [
    ...(held === undefined ? [{ type: 'session_started', evidence: bornEvidence(turn) }] : []),
    ...abandonedRecord(turn),
    {
      type: 'turn_started',
      evidence: startedEvidence(deps, turn, at),
      sealed: { entries: turn.news.entries.map(sealedEntry) },
    },
  ];
  const seq = held?.state.seq ?? 0;
  const status = {
    turnCount: turn.turnIndex + 1,
    lastStatus: 'in_progress',
    runStatus: 'in_progress',
  } as const;
  return {
    appends: records.map((record, index) => ({ chain, when: { seq: seq + index }, at, ...record })),
    rows: [
      ...(isShown(turn)
        ? []
        : [
            sessionRow(turn, { ...status, status: 'open' }, at),
            runRow(turn, 'in_progress', { turn_index: turn.turnIndex }, at),
          ]),
      ...closedRows(turn, deps.config.policy.digest, at),
    ],
    counters: [{ key: turnCounter(facts), add: 1 }],
  };
}
