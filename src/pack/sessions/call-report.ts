// Owns what the model is told of a call: from the kernel's own record of it, never from what a host says.
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import { readResult } from '../../kernel/evidence/large-result.ts';
import type { ChainKey, Payload, Store, StoredRecord } from '../../store/contract.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import { toolContent } from '../untrusted.ts';
import { asRead, ownSealed } from './own-record.ts';
import type { OwnRecord } from './own-record.ts';

interface Sealed {
  content?: JsonValue;
  structured?: JsonValue;
}

export interface CallReport {
  content: string;
  isError: boolean;
}

function blockText(block: JsonObject): string {
  return textAt(block, 'text') ?? `[${textAt(block, 'type') ?? 'content'} not shown]`;
}

/** A result that is one JSON text is shown as the value it is, so that a model and a script can look inside. */
function dataOf(sealed: JsonObject): JsonValue {
  const { structured } = sealed as Sealed;
  if (structured !== undefined) return structured;
  const text = objectsAt(sealed, 'content').map(blockText).join('\n');
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function erased(): CallReport {
  const error = { code: 'NOT_FOUND', message: 'The stored result of this call has been erased.' };
  return { content: toolContent({ success: false, error }), isError: true };
}

function finishedReport(evidence: JsonObject, sealed: Payload<JsonValue> | undefined): CallReport {
  const status = textAt(evidence, 'status');
  const failure = objectAt(evidence, 'error');
  if (status === 'done' || status === 'tool_error') {
    if (sealed?.state !== 'present') return erased();
    const data = dataOf(sealed.value as JsonObject);
    if (status === 'done') return { content: toolContent({ success: true, data }), isError: false };
    const error = { code: textAt(failure, 'code') ?? 'TOOL_EXECUTION_FAILED', ...failure };
    return { content: toolContent({ success: false, error, data }), isError: true };
  }
  const code = status === 'canceled' ? 'CANCELED' : 'SIDE_EFFECT_UNKNOWN';
  const effect = textAt(evidence, 'side_effect_status') ?? 'side_effect_unknown';
  const error = { code, side_effect_status: effect, ...failure };
  return { content: toolContent({ success: false, error }), isError: true };
}

/** The pack's own last word on a call that the kernel never ran. */
function settledReport(evidence: JsonObject): CallReport {
  const error = {
    ...objectAt(evidence, 'error'),
    side_effect_status: textAt(evidence, 'side_effect_status') ?? 'not_executed',
  };
  return { content: toolContent({ success: false, error }), isError: true };
}

function deniedReport(evidence: JsonObject): CallReport {
  const reasons = evidence.reasons ?? [];
  const error = {
    code: 'POLICY_DENIED',
    rule_id: textAt(evidence, 'rule_id') ?? 'kernel_error',
    reasons,
    side_effect_status: 'not_executed',
  };
  return { content: toolContent({ success: false, error }), isError: true };
}

export function fixedReport(code: string, message: string): CallReport {
  return {
    content: toolContent({ success: false, error: { code, message, side_effect_status: 'not_executed' } }),
    isError: true,
  };
}

async function unsealed(store: Store, record: StoredRecord): Promise<Payload<JsonValue> | undefined> {
  return record.header.sealed === undefined
    ? undefined
    : readResult(store, record.header.chain, record.header.seq);
}

const PAGE = 100;

/** The outcome record of the call whose recorded result answered this one. */
async function originalOf(
  store: Store,
  tenant: string,
  evidence: JsonObject,
): Promise<StoredRecord | undefined> {
  const callId = textAt(evidence, 'original_call_id') ?? '';
  const session = textAt(evidence, 'original_session_id') ?? '';
  if (callId === '' || session === '') return undefined;
  const row = await store.row('request', tenant, callId);
  const chain: ChainKey = { tenant, aggregate: 'session', id: session };
  for (let from = Math.max(1, numberAt(row?.body ?? {}, 'start_seq') ?? 1); ; from += PAGE) {
    const page = await store.read(chain, from, PAGE);
    const found = page.find(
      ({ header, evidence: shown }) =>
        header.type === 'call_finished' && shown.state === 'present' && shown.value.call_id === callId,
    );
    if (found !== undefined || page.length < PAGE) return found;
  }
}

/** What a record of our own says of its call, word for word what reading it would; undefined: it has to be read. */
export function ownReport(record: OwnRecord): CallReport | undefined {
  const { type, evidence } = record;
  if (type !== 'call_finished') return undefined;
  if (record.sealed === undefined) return finishedReport(evidence, undefined);
  const sealed = ownSealed(record);
  if (sealed === undefined) return undefined; // it lies elsewhere
  // Only of a structured value does its order show.
  const value = sealed.structured === undefined ? sealed : asRead(sealed);
  return finishedReport(evidence, { state: 'present', value });
}

/** What the record at `seq` says of its call: a refusal, a wait, an outcome, or the outcome of the call it repeats. */
export async function reportAt(store: Store, chain: ChainKey, seq: number): Promise<CallReport> {
  const [record] = await store.read(chain, seq, 1);
  if (record?.evidence.state !== 'present') return erased();
  const evidence = record.evidence.value;
  switch (record.header.type) {
    case 'call_finished':
      return finishedReport(evidence, await unsealed(store, record));
    case 'call_denied':
      return deniedReport(evidence);
    case 'call_settled':
      return settledReport(evidence);
    case 'call_waiting':
      return fixedReport('APPROVAL_REQUIRED', 'The call waits for a person to approve it; it has not run.');
    case 'call_started':
      return fixedReport('CONFLICT', 'The call is still running; its result is not known yet.');
    case 'call_replayed': {
      const original = await originalOf(store, chain.tenant, evidence);
      if (original?.evidence.state !== 'present') return erased();
      return finishedReport(original.evidence.value, await unsealed(store, original));
    }
    default:
      return erased();
  }
}
