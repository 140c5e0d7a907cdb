// Owns the second and last commit of a turn: how it ended, what it leaves open, and the settled budget, in one
// transaction that holds only if no later turn of the session has begun.
import type { JsonObject } from '../../base/json.ts';
import type { RuntimeError } from '../../base/errors.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { ModelCallFacts, ModelOutput, ModelUsage } from '../../providers/contract.ts';
import type { Append, Commit, CounterMove, RowWrite } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import type { TurnOutput } from './contract.ts';
import type { PreparedTurn } from './prepare.ts';
import { requestedEvidence } from './requested.ts';
import type { DecidedTool } from './requested.ts';
import { runRow, sessionRow } from './rows.ts';
import type { RunStatus, SessionProgress } from './rows.ts';
import { shownText, turnCounter } from './start-commit.ts';

export interface Admitted {
  turn: PreparedTurn;
  reserved: CounterMove[];
  /** Monotonic. */
  startedAt: number;
}

export interface Generated {
  output: ModelOutput;
  facts: ModelCallFacts;
}

export type OutcomeCommit = Commit & { appends: Append[]; rows: RowWrite[] };

function callFacts(facts: ModelCallFacts): JsonObject {
  return {
    provider_call_count: 1,
    request_url: facts.requestUrl,
    attempts: facts.attempts,
    ...(facts.responseStatus === undefined ? {} : { response_status: facts.responseStatus }),
  };
}

function turnFacts(deps: PackDeps, { turn, startedAt }: Admitted): JsonObject {
  return {
    turn_index: turn.turnIndex,
    provider: { kind: turn.provider.kind, model: turn.provider.model },
    duration_ms: Math.round((deps.clock.monotonic() - startedAt) * 1000) / 1000,
    ...contextFacts(turn.context),
  };
}

function settled(deps: PackDeps, { turn, reserved }: Admitted, usage: ModelUsage | undefined): CounterMove[] {
  const { context, binding: session, profile } = turn;
  return deps.kernel.settleModel(reserved, { context, session, profile }, usage);
}

/** Only what nobody else wrote may be redacted: ids and decisions are ours, and folding needs them whole. */
function shownRequests(deps: PackDeps, tools: readonly DecidedTool[]): JsonObject[] {
  return tools.map((tool) => {
    const { arguments: args, ...ours } = requestedEvidence(tool);
    const isKnown = tool.refused === undefined;
    const shown = deps.kernel.redact({
      arguments: args ?? {},
      ...(isKnown ? {} : { tool: tool.name.slice(0, 200) }),
    });
    // Here `tool` may be the redacted name.
    return Object.assign(
      ours,
      shown.value,
      shown.fields.length === 0 ? {} : { redacted_fields: shown.fields },
    );
  });
}

function completedEvidence(
  deps: PackDeps,
  admitted: Admitted,
  done: { output: TurnOutput; tools: DecidedTool[]; facts: ModelCallFacts },
): JsonObject {
  const { output, tools } = done;
  const shown = deps.kernel.redact({ assistant_message: shownText(output.assistant_message) });
  return {
    status: output.status,
    intent: output.intent,
    ...turnFacts(deps, admitted),
    ...callFacts(done.facts),
    // The intent under which this turn's calls are decided; absent where none was pinned.
    ...(admitted.turn.intent.session === undefined ? {} : { session_intent: output.intent }),
    finish_reason: output.finish_reason,
    ...(output.usage === undefined ? {} : { usage: { ...output.usage } }),
    requested_tools: shownRequests(deps, tools),
    ...shown.value,
    ...(shown.fields.length === 0 ? {} : { redacted_fields: shown.fields }),
  };
}

/** How the run of a turn with this output stands. */
export function runStatusOf(output: TurnOutput): RunStatus {
  if (output.status !== 'tool_request') return 'success';
  const waits =
    output.requested_tools?.some((tool) => tool.decision.decision === 'approval_required') === true;
  return waits ? 'waiting_for_approval' : 'in_progress';
}

interface Ending {
  records: { type: string; evidence: JsonObject; sealed?: JsonObject }[];
  progress: SessionProgress;
  runStatus: RunStatus;
  run: JsonObject;
  usage: ModelUsage | undefined;
}

function outcome(deps: PackDeps, admitted: Admitted, ending: Ending): OutcomeCommit {
  const { turn } = admitted;
  const at = deps.clock.now();
  const { records, progress, runStatus, run, usage } = ending;
  return {
    // Calls of this session may finish meanwhile; what must not have happened is another turn, and the guard says so.
    appends: records.map((record) => ({ chain: turn.chain, when: { epoch: 0 }, at, ...record })),
    rows: [
      sessionRow(turn, progress, at),
      runRow(turn, runStatus, { turn_index: turn.turnIndex, ...run }, at),
    ],
    counters: settled(deps, admitted, usage),
    guards: [{ key: turnCounter(turn.facts), is: turn.turnIndex + 1 }],
  };
}

/** A refused call is found in the list of requests like any other denial; its id can never run. */
function refusedRows(deps: PackDeps, turn: PreparedTurn, tools: readonly DecidedTool[]): RowWrite[] {
  const at = deps.clock.now();
  const { tenant, principal, id: session } = turn.facts;
  return tools
    .filter((tool) => tool.refused !== undefined)
    .map(({ tool_call_id: id, name, decision }) => {
      const { value } = deps.kernel.redact({ reasons: decision.reasons });
      const body: JsonObject = {
        kind: 'call',
        tool: name.slice(0, 200),
        session_id: session,
        run_id: turn.context.runId,
        trace_id: turn.context.traceId,
        decision: { ...decision, ...value },
        started_at: at,
        start_seq: 0,
        instance: '',
        side_effect_status: 'not_executed',
      };
      const status = 'denied';
      return {
        row: { kind: 'request', tenant, id, principal, status, ref: session, updatedAt: at, body },
        when: 'absent',
      };
    });
}

export function completedCommit(
  deps: PackDeps,
  admitted: Admitted,
  done: { output: TurnOutput; tools: DecidedTool[]; facts: ModelCallFacts },
): OutcomeCommit {
  const { output, tools } = done;
  const { turn } = admitted;
  const ids = contextFacts(turn.context);
  const itemId = output.status === 'escalate' ? deps.ids.next('esc') : undefined;
  const runStatus = runStatusOf(output);
  const status = output.status === 'complete' ? 'closed' : itemId === undefined ? 'open' : 'escalated';
  const built = outcome(deps, admitted, {
    records: [
      {
        type: 'turn_completed',
        evidence: completedEvidence(deps, admitted, done),
        sealed: {
          message: output.assistant_message,
          calls: tools.map(({ tool_call_id: id, name, input }) => ({ id, name, input })),
        },
      },
      ...(status === 'closed' ? [{ type: 'session_closed', evidence: { status: 'complete', ...ids } }] : []),
      ...(itemId === undefined
        ? []
        : [{ type: 'item_opened', evidence: { item_id: itemId, kind: 'escalation', ...ids } }]),
    ],
    progress: { status, turnCount: turn.turnIndex + 1, lastStatus: output.status, runStatus },
    runStatus,
    run: { last_turn_status: output.status },
    usage: output.usage,
  });
  const listed = { ...built, rows: [...built.rows, ...refusedRows(deps, turn, tools)] };
  return itemId === undefined ? listed : withItem(deps, turn, listed, { itemId, output });
}

/** An escalation is a thing that an operator finds in a list, not only a word in an answer. */
function withItem(
  deps: PackDeps,
  turn: PreparedTurn,
  commit: OutcomeCommit,
  item: { itemId: string; output: TurnOutput },
): OutcomeCommit {
  const { tenant, principal, id: ref } = turn.facts;
  const reason = deps.kernel.redact({ reason: shownText(item.output.assistant_message).content ?? '' }).value;
  const body: JsonObject = {
    kind: 'escalation',
    session_id: ref,
    run_id: turn.context.runId,
    trace_id: turn.context.traceId,
    intent: item.output.intent,
    ...reason,
  };
  const row = { kind: 'item' as const, tenant, id: item.itemId, principal, status: 'open', ref, body };
  const write = { row: { ...row, updatedAt: deps.clock.now() }, when: 'absent' as const };
  return { ...commit, rows: [...commit.rows, write] };
}

/** A failed turn: the failure is evidence, what the model said is sealed, and the session stays as it was. */
export function failedCommit(
  deps: PackDeps,
  admitted: Admitted,
  error: RuntimeError,
  generated: Generated | undefined,
): OutcomeCommit {
  const { turn } = admitted;
  const view = error.view();
  const shown = deps.kernel.redact({ message: view.message, details: plain(view.details) });
  const said = generated?.output;
  const runStatus: RunStatus = error.code === 'CANCELED' ? 'canceled' : 'failed';
  return outcome(deps, admitted, {
    records: [
      {
        type: 'turn_failed',
        evidence: {
          ...turnFacts(deps, admitted),
          ...(generated === undefined ? {} : callFacts(generated.facts)),
          ...(said === undefined ? {} : { finish_reason: said.finishReason }),
          code: view.code,
          retryable: view.retryable,
          ...shown.value,
        },
        ...(said === undefined ? {} : { sealed: { text: said.text, tool_calls: plainCalls(said) } }),
      },
    ],
    progress: { status: 'open', turnCount: turn.turnIndex + 1, lastStatus: 'failed', runStatus },
    runStatus,
    run: { last_turn_status: 'failed', code: view.code },
    usage: said?.usage,
  });
}

function plainCalls(said: ModelOutput): JsonObject[] {
  return said.toolCalls.map(({ id, name, rawInput }) => ({ id, name, raw_input: rawInput }));
}

/** Details as JSON carries them. */
export function plain(details: Record<string, unknown>): JsonObject {
  return JSON.parse(JSON.stringify(details)) as JsonObject;
}
