// Owns what happened in a managed session, in the order of its records: the history of turns and calls, and the log of
// continuations. It is read from the journal, and a session that goes on is read on from where it was read last, so the
// two hundredth turn costs what the tenth did.
//
// T1  Nothing here decides anything: it is for showing. What a run does next is read from the folded state alone.
import type { EpochMs } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { ERRORS } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { readResult } from '../../kernel/evidence/large-result.ts';
import type { ChainKey, Store, StoredRecord } from '../../store/contract.ts';
import type { LoopCallAnswer, LoopError } from '../loop/client-port.ts';
import type { HistoryEntry } from '../loop/loop.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import { reportAt } from '../sessions/call-report.ts';
import { asRead, ownSealed, ownTail } from '../sessions/own-record.ts';
import type { OwnRecord } from '../sessions/own-record.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import type { DecisionView, RequestedTool, TurnInput, TurnOutput, TurnStatus } from '../turn/contract.ts';
import type { Continuation } from './contract.ts';
import { continuationOf } from './continuations.ts';

type ToolOutput = NonNullable<HistoryEntry['tool_output']>;

export interface Transcript {
  /** What the session was started with; undefined once erased. */
  input: TurnInput | undefined;
  history: HistoryEntry[];
  continuations: Continuation[];
  lastTurn: TurnOutput | undefined;
  runId: string;
  createdAt: number;
}

interface Reading extends Transcript {
  upTo: number;
  /** The reading of the session that it goes on with; another one begins anew. */
  of: object;
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
    input: asRead(objectAt(exact[index] ?? {}, 'input')),
    tool_call_id: textAt(shown, 'tool_call_id') ?? '',
    decision: decisionOf(shown),
  }));
}

/** The output of a completed turn, as it was given; what was erased of it is empty. */
function outputOf(evidence: JsonObject, sealed: JsonObject): TurnOutput {
  const tools = requestedTools(evidence, sealed);
  const [first] = tools;
  const provider = asRead(objectAt(evidence, 'provider'));
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
    ...('usage' in evidence ? { usage: asRead(objectAt(evidence, 'usage')) } : {}),
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

/** A record as the transcript reads it: from the store, or from what this process wrote. What is told of it is a copy. */
interface Read {
  type: string;
  seq: number;
  at: EpochMs;
  /** undefined once erased. */
  evidence: JsonObject | undefined;
  /** Empty when there is nothing, or nothing any more. */
  sealed(): Promise<JsonObject>;
}

async function sealedOf(store: Store, chain: ChainKey, seq: number): Promise<JsonObject> {
  const sealed = await readResult(store, chain, seq);
  return sealed.state === 'present' ? (sealed.value as JsonObject) : {};
}

const NOTHING: Promise<JsonObject> = Promise.resolve({});

function stored(store: Store, { header, evidence }: StoredRecord): Read {
  const { chain, type, seq, at, sealed } = header;
  return {
    type,
    seq,
    at,
    evidence: evidence.state === 'present' ? evidence.value : undefined,
    sealed: () => (sealed === undefined ? NOTHING : sealedOf(store, chain, seq)),
  };
}

function own(store: Store, chain: ChainKey, record: OwnRecord): Read {
  const { type, seq, at, evidence, sealed } = record;
  return {
    type,
    seq,
    at,
    evidence,
    sealed() {
      if (sealed === undefined) return NOTHING;
      const known = ownSealed(record);
      return known === undefined ? sealedOf(store, chain, seq) : Promise.resolve(known);
    },
  };
}

async function finished(record: Read, evidence: JsonObject, decision: DecisionView): Promise<LoopCallAnswer> {
  const status = textAt(evidence, 'status') as 'done' | 'tool_error' | 'unknown' | 'canceled';
  const sealed = await record.sealed();
  const error = errorOf(evidence) ?? unsaidError(status);
  const structured = 'structured' in sealed ? { structured: asRead(objectAt(sealed, 'structured')) } : {};
  const result =
    'content' in sealed
      ? { result: { content: objectsAt(sealed, 'content').map(asRead), ...structured } }
      : {};
  const ends = evidence.on_failure === 'end_run' ? { on_failure: 'end_run' as const } : {};
  return { status, decision, ...result, ...(error === undefined ? {} : { error }), ...ends };
}

/** The store, and the chain that is read. */
interface Source {
  store: Store;
  chain: ChainKey;
}

/** What the record says of its call, as the one who ran it was told. */
async function outputOfCall(
  { store, chain }: Source,
  record: Read,
  evidence: JsonObject,
  known: DecisionView,
): Promise<ToolOutput | undefined> {
  switch (record.type) {
    case 'call_waiting': {
      const approval = { approval_id: textAt(evidence, 'approval_id') ?? '' };
      return { status: 'approval_required', decision: decisionOf(evidence), approval };
    }
    case 'call_denied':
      return { status: 'denied', decision: decisionOf(evidence) };
    case 'call_finished':
      return finished(record, evidence, known);
    case 'call_replayed': {
      const { content: text } = await reportAt(store, chain, record.seq);
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

async function readCall(from: Source, so: Reading, record: Read, evidence: JsonObject): Promise<void> {
  const callId = textAt(evidence, 'call_id') ?? '';
  const place = so.entryOf.get(callId);
  const entry = place === undefined ? undefined : so.history[place];
  if (place === undefined || entry === undefined) return;
  if (record.type === 'call_started') {
    so.decisions.set(callId, decisionOf(evidence));
    return;
  }
  const known = so.decisions.get(callId) ?? UNDECIDED;
  const output = await outputOfCall(from, record, evidence, known);
  if (output === undefined) return;
  so.history[place] = { ...entry, tool_output: output };
  if (output.status !== 'approval_required') so.decisions.delete(callId);
}

function readTurn(so: Reading, evidence: JsonObject, sealed: JsonObject): void {
  const output = outputOf(evidence, sealed);
  so.lastTurn = output;
  so.runId = output.run_id;
  const entry = { turn_index: output.turn_index, turn_output: output };
  if (output.requested_tools === undefined) so.history.push(entry);
  for (const tool of output.requested_tools ?? []) {
    so.entryOf.set(tool.tool_call_id, so.history.length);
    so.history.push({ ...entry, tool_call_id: tool.tool_call_id });
  }
}

function readAdmission(so: Reading, { at }: Read, evidence: JsonObject, sealed: JsonObject): void {
  so.createdAt = at;
  so.runId = textAt(evidence, 'run_id') ?? '';
  so.input = 'input' in sealed ? (asRead(objectAt(sealed, 'input')) as unknown as TurnInput) : undefined;
}

async function readRecord(from: Source, so: Reading, record: Read): Promise<void> {
  const { type, at, evidence } = record;
  if (evidence === undefined) return;
  if (type === 'session_admitted') readAdmission(so, record, evidence, await record.sealed());
  else if (type === 'turn_completed') readTurn(so, evidence, await record.sealed());
  else if (type.startsWith('call_')) await readCall(from, so, record, evidence);
  const told = continuationOf({ type, evidence, at, node: nodeOf(so) });
  if (told !== undefined) so.continuations.push({ sequence: so.continuations.length + 1, ...told });
}

function nodeOf(so: Reading): string | undefined {
  return so.continuations[0]?.node_id;
}

export interface Transcripts {
  /** Everything up to the state that is held. The caller must not change it. */
  read(held: HeldSession): Promise<Transcript>;
}

const PAGE = 200;
const MAX_HELD = 64;

// They tell nothing here, and are the largest.
const UNTOLD: ReadonlySet<string> = new Set(['session_started', 'turn_started', 'turn_failed']);

/** Reads on up to the state that is held. */
async function readOn(store: Store, { chain, state, own: written }: HeldSession, so: Reading): Promise<void> {
  const from = { store, chain };
  const tail = ownTail(written, state.seq);
  const upTo = state.seq - tail.length;
  for (let next = so.upTo + 1; next <= upTo; next += PAGE) {
    const page = await store.read(chain, next, Math.min(PAGE, upTo - next + 1));
    for (const record of page) await readRecord(from, so, stored(store, record));
    if (page.length === 0) break;
  }
  for (const record of tail) {
    if (record.seq <= so.upTo || UNTOLD.has(record.type)) continue;
    await readRecord(from, so, own(store, chain, record));
  }
  so.upTo = state.seq;
}

function empty(of: object): Reading {
  return {
    of,
    input: undefined,
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
    async read(held) {
      const { chain, state, reading } = held;
      const key = keyOf(chain);
      const before = kept.get(key);
      const known = before?.of === reading ? before : undefined;
      if (known?.upTo === state.seq) return known;
      // A copy, so that a read that fails half way, or two at once, leave the kept one whole.
      const so: Reading =
        known === undefined || known.upTo > state.seq
          ? empty(reading)
          : { ...known, history: [...known.history], continuations: [...known.continuations] };
      await readOn(store, held, so);
      held.own = []; // nothing of it is read again, as a rule
      kept.delete(key);
      kept.set(key, so);
      const oldest = kept.keys().next();
      if (kept.size > MAX_HELD && oldest.done !== true) kept.delete(oldest.value);
      return so;
    },
  };
}
