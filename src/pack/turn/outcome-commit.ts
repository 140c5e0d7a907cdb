// Owns the second and last commit of a turn: how it ended, what it leaves open, and the settled budget, in one
// transaction that holds only if no later turn of the session has begun.
import type { JsonObject } from '../../base/json.ts';
import type { RuntimeError } from '../../base/errors.ts';
import { cutName } from '../../base/text.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { ModelCallFacts, ModelOutput, ModelUsage } from '../../providers/contract.ts';
import type { Append, Commit, CounterMove, RowWrite } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import type { Streamed } from './stream.ts';
import type { TurnOutput } from './contract.ts';
import { openedItem } from './escalation.ts';
import type { PreparedTurn } from './prepare.ts';
import { requestedEvidence } from './requested.ts';
import type { DecidedTool } from './requested.ts';
import { runRow, sessionRow } from './rows.ts';
import type { RunStatus, SessionProgress } from './rows.ts';
import { cutContent } from './start-commit.ts';

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

/** What is known of a turn that gave an output. */
interface Completed {
  output: TurnOutput;
  tools: DecidedTool[];
  facts: ModelCallFacts;
  /** Of live output, the final one among them; undefined: the turn was not streamed. */
  streamed: Streamed | undefined;
}

/** What is known of a turn that gave none. */
export interface Failed {
  error: RuntimeError;
  generated: Generated | undefined;
  streamed: Streamed | undefined;
}

export type OutcomeCommit = Commit & { appends: Append[]; rows: RowWrite[] };

/** The one call of a turn, in the record and in the answer of a turn that failed after it. */
export function callFacts({ requestUrl, attempts, responseStatus }: ModelCallFacts): JsonObject {
  const facts: JsonObject = { provider_call_count: 1, request_url: requestUrl, attempts };
  if (responseStatus !== undefined) facts.response_status = responseStatus;
  return facts;
}

/** What every ended turn says of itself and of the call that was made for it, if one was. */
function turnFacts(
  deps: PackDeps,
  { turn, startedAt }: Admitted,
  { called, streamed }: { called: ModelCallFacts | undefined; streamed: Streamed | undefined },
): JsonObject {
  const facts = contextFacts(turn.context);
  facts.turn_index = turn.turnIndex;
  facts.provider = { kind: turn.provider.kind, model: turn.provider.model };
  facts.duration_ms = Math.round((deps.clock.monotonic() - startedAt) * 1000) / 1000;
  if (streamed !== undefined) {
    facts.stream_snapshot_count = streamed.count;
    facts.stream_partials = streamed.partials;
  }
  return called === undefined ? facts : Object.assign(facts, callFacts(called));
}

function settled(deps: PackDeps, { turn, reserved }: Admitted, usage: ModelUsage | undefined): CounterMove[] {
  const { context, binding: session, profile } = turn;
  return deps.kernel.settleModel(reserved, { context, session, profile }, usage);
}

/** Only what nobody else wrote may be redacted: ids and decisions are ours, and folding needs them whole. */
function shownRequests(deps: PackDeps, tools: readonly DecidedTool[]): JsonObject[] {
  return tools.map((tool) => {
    const isKnown = tool.refused === undefined;
    const { value, fields } = deps.kernel.redact({
      arguments: tool.input,
      ...(isKnown ? {} : { tool: tool.name }),
    });
    // Here `tool` may be the redacted name; it is cut afterwards, since a cut secret is not known.
    const shown = Object.assign(requestedEvidence(tool), value);
    if (typeof value.tool === 'string') shown.tool = cutName(value.tool);
    if (fields.length > 0) shown.redacted_fields = fields;
    return shown;
  });
}

function completedEvidence(deps: PackDeps, admitted: Admitted, done: Completed): JsonObject {
  const { output, tools, facts: called, streamed } = done;
  const { assistant_message: content, finish_reason } = output;
  const shown = deps.kernel.redact({ assistant_message: { content }, finish_reason });
  const evidence = turnFacts(deps, admitted, { called, streamed });
  evidence.status = output.status;
  evidence.intent = output.intent;
  // The intent under which this turn's calls are decided; absent where none was pinned.
  if (admitted.turn.intent.session !== undefined) evidence.session_intent = output.intent;
  evidence.finish_reason = shown.value.finish_reason ?? '';
  if (output.usage !== undefined) evidence.usage = { ...output.usage };
  evidence.requested_tools = shownRequests(deps, tools);
  if (shown.fields.length > 0) evidence.redacted_fields = shown.fields;
  evidence.assistant_message = cutContent(shown.value.assistant_message as JsonObject);
  return evidence;
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
    guards: [{ key: turn.counter, is: turn.turnIndex + 1 }],
  };
}

/** A refused call is found in the list of requests like any other denial; its id can never run. */
function refusedRows(deps: PackDeps, turn: PreparedTurn, tools: readonly DecidedTool[]): RowWrite[] {
  const at = deps.clock.now();
  const { tenant, principal, id: session } = turn.facts;
  return tools
    .filter((tool) => tool.refused !== undefined)
    .map(({ tool_call_id: id, name, decision }) => {
      const { value } = deps.kernel.redact({ reasons: decision.reasons, tool: name });
      const { tool = '', ...said } = value;
      const body: JsonObject = {
        kind: 'call',
        tool: cutName(tool as string),
        session_id: session,
        run_id: turn.context.runId,
        trace_id: turn.context.traceId,
        decision: { ...decision, ...said },
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

export function completedCommit(deps: PackDeps, admitted: Admitted, done: Completed): OutcomeCommit {
  const { output, tools, streamed } = done;
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
          ...shownBeyond(streamed, output.assistant_message),
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
  if (tools.some((tool) => tool.refused !== undefined)) built.rows.push(...refusedRows(deps, turn, tools));
  return itemId === undefined ? built : withItem(deps, turn, built, { itemId, output });
}

/** An escalation is a thing that an operator finds in a list, not only a word in an answer. */
function withItem(
  deps: PackDeps,
  turn: PreparedTurn,
  commit: OutcomeCommit,
  item: { itemId: string; output: TurnOutput },
): OutcomeCommit {
  const { content } = cutContent(deps.kernel.redact({ content: item.output.assistant_message }).value);
  const body: JsonObject = {
    kind: 'escalation',
    session_id: turn.facts.id,
    run_id: turn.context.runId,
    trace_id: turn.context.traceId,
    intent: item.output.intent,
    reason: content ?? '',
  };
  const opened = openedItem(turn.facts, { itemId: item.itemId, body, at: deps.clock.now() });
  return { ...commit, rows: [...commit.rows, opened] };
}

// Where no request was made nothing can have been used, so the whole reservation is given back.
const NOTHING_USED: ModelUsage = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };

/** A failed turn: the failure is evidence, what the model said is sealed, and the session stays as it was. */
export function failedCommit(
  deps: PackDeps,
  admitted: Admitted,
  { error, generated, streamed }: Failed,
): OutcomeCommit {
  const { turn } = admitted;
  const view = error.view();
  const said = generated?.output;
  const shown = deps.kernel.redact({
    ...(said === undefined ? {} : { finish_reason: said.finishReason }),
    message: view.message,
    details: plain(view.details),
  });
  const runStatus: RunStatus = error.code === 'CANCELED' ? 'canceled' : 'failed';
  return outcome(deps, admitted, {
    records: [
      {
        type: 'turn_failed',
        evidence: {
          ...turnFacts(deps, admitted, { called: generated?.facts, streamed }),
          code: view.code,
          retryable: view.retryable,
          ...shown.value,
        },
        ...sealedFailure(said, streamed),
      },
    ],
    progress: { status: 'open', turnCount: turn.turnIndex + 1, lastStatus: 'failed', runStatus },
    runStatus,
    run: { last_turn_status: 'failed', code: view.code },
    usage: error.details['provider_call_count'] === 0 ? NOTHING_USED : said?.usage,
  });
}

/** What the model said, and what was shown of it where that is not its beginning: an answer that broke off has no text. */
function sealedFailure(
  said: ModelOutput | undefined,
  streamed: Streamed | undefined,
): { sealed?: JsonObject } {
  const shown = shownBeyond(streamed, said?.text ?? '');
  if (said !== undefined) return { sealed: { text: said.text, tool_calls: plainCalls(said), ...shown } };
  return 'shown' in shown ? { sealed: shown } : {};
}

/** What partials showed, unless the text that is kept begins with it. */
function shownBeyond(streamed: Streamed | undefined, kept: string): JsonObject {
  return streamed === undefined || kept.startsWith(streamed.text) ? {} : { shown: streamed.text };
}

function plainCalls(said: ModelOutput): JsonObject[] {
  return said.toolCalls.map(({ id, name, rawInput }) => ({ id, name, raw_input: rawInput.toWellFormed() }));
}

/** Details as JSON carries them. */
export function plain(details: Record<string, unknown>): JsonObject {
  return JSON.parse(JSON.stringify(details)) as JsonObject;
}
