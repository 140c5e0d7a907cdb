// Owns how the events of a capability session's chain look to a reader: snake case and ISO times, as all else is. Pure.
import { isObject } from '../base/json.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { given, timeOf } from './given.ts';

type Shown = Readonly<Record<string, JsonValue | undefined>>;

function partOf(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** What it was opened as; whose it is says the row. */
function subjectView(subject: JsonObject): Shown {
  return {
    server: subject.server,
    transport: subject.transport,
    owner: subject.owner,
    policy_digest: subject.policyDigest,
    instance: subject.instance,
    reinitialized_from: subject.reinitializedFrom,
    sandbox: subject.sandbox,
  };
}

function inputView(input: JsonObject): Shown {
  return {
    input_id: input.inputId,
    mode: input.mode,
    call_id: input.callId,
    run_id: input.runId,
    open_until: timeOf(input.openUntil),
  };
}

/** For which call the token is. */
function tokenView(token: JsonObject): Shown {
  return {
    digest: token.digest,
    call_id: token.callId,
    run_id: token.runId,
    open_until: timeOf(token.until),
  };
}

/** The payload of one record, without what its header says already. */
export function capabilityEventView(value: JsonObject): JsonObject {
  const { type: _type, at: _at, subject, run, input, token, ...others } = value;
  const { expiresAt, approvalId, inputId, successor, ...rest } = others;
  const { runId, traceId } = partOf(run);
  const own = given({ run_id: runId, trace_id: traceId, approval_id: approvalId, input_id: inputId });
  const more = given({ expires_at: timeOf(expiresAt), reinitialized_as: successor });
  const parts = [subjectView(partOf(subject)), inputView(partOf(input)), tokenView(partOf(token))];
  return Object.assign({}, rest, ...parts.map(given), own, more) as JsonObject;
}
