// Owns what happened in a managed session, in the order of its records: the history of turns and calls, and the log of
// continuations. It is read from the journal, and a session that goes on is read on from where it was read last, so the
// two hundredth turn costs what the tenth did.
//
// T1  Nothing here decides anything: it is for showing. What a run does next is read from the folded state alone.
import { isoTime } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { ERRORS } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { readResult } from '../../kernel/evidence/large-result.ts';
import type { ChainKey, Store, StoredRecord } from '../../store/contract.ts';
import type { LoopCallAnswer, LoopError } from '../loop/client-port.ts';
import type { HistoryEntry } from '../loop/loop.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import { reportAt } from '../sessions/call-report.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import type { DecisionView, RequestedTool, TurnOutput, TurnStatus } from '../turn/contract.ts';
import type { Continuation } from './contract.ts';
import { continuationOf } from './continuations.ts';

type ToolOutput = NonNullable<HistoryEntry['tool_output']>;

export interface Transcript {
  history: HistoryEntry[];
  continuations: Continuation[];
  lastTurn: TurnOutput | undefined;
  runId: string;
  createdAt: number;
}

interface Reading extends Transcript {
  upTo: number;
  /** Where the entry of a call stands in the history. */
  entryOf: Map<string, number>;
  decisions: Map<string, DecisionView>;
}

function decisionOf(evidence: JsonObject): DecisionView {
  const reasons = Array.isArray(evidence.reasons) ? evidence.reasons : [];
  const verdict = textAt(evidence, 'decision');
  return {
    decision: verdict === 'allow' || verdict === 'approval_required' ? verdict : 'deny',
    rule_id: textAt(evidence, 'rule_id') ?? '',
    layer: textAt(evidence, 'layer') ?? '',
    reasons: reasons.filter((one) => typeof one === 'string'),
    policy_digest: textAt(evidence, 'policy_digest') ?? '',
    ...(verdict === 'deny' && evidence.on_deny === 'end_run' ? { on_deny: 'end_run' as const } : {}),
  };
}

function requestedTools(evidence: JsonObject, sealed: JsonObject): RequestedTool[] {
  const exact = objectsAt(sealed, 'calls');
  return objectsAt(evidence, 'requested_tools').map((shown, index) => ({
    name: textAt(shown, 'tool') ?? '',
    input: objectAt(exact[index] ?? {}, 'input'),
    tool_call_id: textAt(shown, 'tool_call_id') ?? '',
    decision: decisionOf(shown),
  }));
}

/** The output of a completed turn, as it was given; what was erased of it is empty. */
function outputOf(evidence: JsonObject, sealed: JsonObject): TurnOutput {
  const tools = requestedTools(evidence, sealed);
  const [first] = tools;
  const provider = objectAt(evidence, 'provider');
  return {
    status: (textAt(evidence, 'status') ?? 'reply') as TurnStatus,
    intent: textAt(evidence, 'intent') ?? '',
    assistant_message: textAt(sealed, 'message') ?? '',
    ...(first === undefined
      ? {}
      : {
          requested_tool: { name: first.name, input: first.input },
          requested_tools: tools,
          tool_call_id: first.tool_call_id,
          decision: first.decision,
        }),
    provider: provider as unknown as TurnOutput['provider'],
    ...('usage' in evidence ? { usage: objectAt(evidence, 'usage') } : {}),
    finish_reason: textAt(evidence, 'finish_reason') ?? '',
    session_id: textAt(evidence, 'session_id') ?? '',
    run_id: textAt(evidence, 'run_id') ?? '',
    trace_id: textAt(evidence, 'trace_id') ?? '',
    turn_index: numberAt(evidence, 'turn_index') ?? 0,
  };
}

function errorOf(evidence: JsonObject): LoopError | undefined {
  const shown = objectAt(evidence, 'error');
  const code = textAt(shown, 'code');
  return code === undefined
    ? undefined
    : { code: code as ErrorCode, message: textAt(shown, 'message') ?? '' };
}

function unsaidError(status: string): LoopError | undefined {
  if (status !== 'unknown' && status !== 'canceled') return undefined;
  const code = status === 'unknown' ? 'SIDE_EFFECT_UNKNOWN' : 'CANCELED';
  return { code, message: ERRORS[code].sentence };
}

async function unsealed(store: Store, record: StoredRecord): Promise<JsonObject> {
  if (record.header.sealed === undefined) return {};
  const sealed = await readResult(store, record.header.chain, record.header.seq);
  return sealed.state === 'present' ? (sealed.value as JsonObject) : {};
}

async function finished(
  store: Store,
  record: StoredRecord,
  evidence: JsonObject,
  decision: DecisionView,
): Promise<LoopCallAnswer> {
  const status = textAt(evidence, 'status') as 'done' | 'tool_error' | 'unknown' | 'canceled';
  const sealed = await unsealed(store, record);
  const error = errorOf(evidence) ?? unsaidError(status);
  const structured = 'structured' in sealed ? { structured: objectAt(sealed, 'structured') } : {};
  const result =
    'content' in sealed ? { result: { content: objectsAt(sealed, 'content'), ...structured } } : {};
  return { status, decision, ...result, ...(error === undefined ? {} : { error }) };
}

/** What the record says of its call, as the one who ran it was told. */
async function outputOfCall(
  store: Store,
  record: StoredRecord,
  evidence: JsonObject,
  known: DecisionView,
): Promise<ToolOutput | undefined> {
  switch (record.header.type) {
    case 'call_waiting': {
      const approval = { approval_id: textAt(evidence, 'approval_id') ?? '' };
      return { status: 'approval_required', decision: decisionOf(evidence), approval };
    }
    case 'call_denied':
      return { status: 'denied', decision: decisionOf(evidence) };
    case 'call_finished':
      return finished(store, record, evidence, known);
    case 'call_replayed': {
      const { content: text } = await reportAt(store, record.header.chain, record.header.seq);
      return {
        status: 'done',
        decision: decisionOf(evidence),
        result: { content: [{ type: 'text', text }] },
      };
    }
    case 'call_settled':
      return { status: 'failed', error: errorOf(evidence) ?? { code: 'INTERNAL', message: '' } };
    default:
      return undefined;
  }
}

const UNDECIDED: DecisionView = { decision: 'allow', rule_id: '', layer: '', reasons: [], policy_digest: '' };

async function readCall(
  store: Store,
  so: Reading,
  record: StoredRecord,
  evidence: JsonObject,
): Promise<void> {
  const callId = textAt(evidence, 'call_id') ?? '';
  const place = so.entryOf.get(callId);
  const entry = place === undefined ? undefined : so.history[place];
  if (place === undefined || entry === undefined) return;
  if (record.header.type === 'call_started') {
    so.decisions.set(callId, decisionOf(evidence));
    return;
  }
  const known = so.decisions.get(callId) ?? UNDECIDED;
  const output = await outputOfCall(store, record, evidence, known);
  if (output === undefined) return;
  so.history[place] = { ...entry, tool_output: output };
  if (output.status !== 'approval_required') so.decisions.delete(callId);
}

async function readTurn(
  store: Store,
  so: Reading,
  record: StoredRecord,
  evidence: JsonObject,
): Promise<void> {
  const output = outputOf(evidence, await unsealed(store, record));
  so.lastTurn = output;
  so.runId = output.run_id;
  const entry = { turn_index: output.turn_index, turn_output: output };
  if (output.requested_tools === undefined) so.history.push(entry);
  for (const tool of output.requested_tools ?? []) {
    so.entryOf.set(tool.tool_call_id, so.history.length);
    so.history.push({ ...entry, tool_call_id: tool.tool_call_id });
  }
}

async function readRecord(store: Store, so: Reading, record: StoredRecord): Promise<void> {
  const { type, at } = record.header;
  if (record.evidence.state !== 'present') return;
  const evidence = record.evidence.value;
  if (type === 'session_admitted') {
    so.createdAt = at;
    so.runId = textAt(evidence, 'run_id') ?? '';
  }
  if (type === 'turn_completed') await readTurn(store, so, record, evidence);
  else if (type.startsWith('call_')) await readCall(store, so, record, evidence);
  const told = continuationOf({ type, evidence, timestamp: isoTime(at), node: nodeOf(so) });
  if (told !== undefined) so.continuations.push({ sequence: so.continuations.length + 1, ...told });
}

function nodeOf(so: Reading): string | undefined {
  return so.continuations[0]?.node_id;
}

export interface Transcripts {
  /** Everything up to the state that is held. The caller must not change it. */
  read(held: HeldSession): Promise<Transcript>;
  forget(chain: ChainKey): void;
}

const PAGE = 200;
const MAX_HELD = 64;

function empty(): Reading {
  return {
    history: [],
    continuations: [],
    lastTurn: undefined,
    runId: '',
    createdAt: 0,
    upTo: 0,
    entryOf: new Map(),
    decisions: new Map(),
  };
}

/** Transcripts over one store; the most recently read ones are kept and read on. */
export function createTranscripts(store: Store): Transcripts {
  const kept = new Map<string, Reading>();
  const keyOf = (chain: ChainKey): string => JSON.stringify([chain.tenant, chain.id]);
  return {
    async read({ chain, state }) {
      const key = keyOf(chain);
      const known = kept.get(key);
      // A copy, so that a read that fails half way, or two at once, leave the kept one whole.
      const so: Reading =
        known === undefined || known.upTo > state.seq
          ? empty()
          : { ...known, history: [...known.history], continuations: [...known.continuations] };
      for (let from = so.upTo + 1; from <= state.seq; from += PAGE) {
        const page = await store.read(chain, from, Math.min(PAGE, state.seq - from + 1));
        for (const record of page) await readRecord(store, so, record);
        if (page.length === 0) break;
      }
      so.upTo = state.seq;
      kept.delete(key);
      kept.set(key, so);
      const oldest = kept.keys().next();
      if (kept.size > MAX_HELD && oldest.done !== true) kept.delete(oldest.value);
      return so;
    },
    forget(chain) {
      kept.delete(keyOf(chain));
    },
  };
}
