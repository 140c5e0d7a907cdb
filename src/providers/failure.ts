// Owns how what goes wrong with a provider becomes a code with safe details: what it said is cut and never trusted,
// and the configured key is taken out of every text, also when the other side echoes it.
import { RuntimeError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { isObject } from '../base/json.ts';
import { cutTo } from '../base/text.ts';
import { withoutKey } from './key.ts';

const MAX_SAID = 300;
const MAX_CODE = 80;

/** What a provider said about its own error, in the shape that both APIs share: `{error: {message, type, code}}`. */
interface Said {
  provider_code?: string;
  provider_message?: string;
}

function saidIn(value: unknown): Said {
  const error = isObject(value) && value['error'] !== undefined ? value['error'] : value;
  if (typeof error === 'string') return { provider_message: error };
  if (!isObject(error)) return {};
  const code = [error['code'], error['type']].find(
    (one) => typeof one === 'string' || typeof one === 'number',
  );
  const message = error['message'];
  return {
    ...(code === undefined ? {} : { provider_code: String(code) }),
    ...(typeof message === 'string' ? { provider_message: message } : {}),
  };
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'PROVIDER_AUTHENTICATION_FAILED';
  return status === 429 ? 'PROVIDER_RATE_LIMITED' : 'PROVIDER_HTTP_ERROR';
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** A non-2xx answer; `body` is undefined when it was too long to be read. */
export function httpFailure(
  status: number,
  body: string | undefined,
  retryAfterMs: number | undefined,
): RuntimeError {
  return new RuntimeError(codeOf(status), undefined, {
    response_status: status,
    ...(body === undefined ? {} : saidIn(parsed(body))),
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
  });
}

/** An error that a provider tells inside an answer whose status was 200. */
export function eventFailure(value: unknown): RuntimeError {
  const said = saidIn(value);
  const code = said.provider_code ?? '';
  if (code.startsWith('rate_limit')) return new RuntimeError('PROVIDER_RATE_LIMITED', undefined, { ...said });
  if (code === 'authentication_error' || code === 'permission_error') {
    return new RuntimeError('PROVIDER_AUTHENTICATION_FAILED', undefined, { ...said });
  }
  return new RuntimeError('PROVIDER_HTTP_ERROR', undefined, { ...said, reason: 'error inside the answer' });
}

export function malformed(reason: string): RuntimeError {
  return new RuntimeError('PROVIDER_MALFORMED_RESPONSE', undefined, { reason });
}

/** `reason` is a system code such as ECONNREFUSED; texts of the network stack are not passed on. */
export function transportFailure(thrown: unknown): RuntimeError {
  let code: string | undefined;
  for (let at = thrown, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') code = at.code;
  }
  // The platform's own limit on a silent connection, which no deadline of ours can lengthen: not worth a retry.
  const isSilence = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  const kind = isSilence ? 'PROVIDER_TIMEOUT' : 'PROVIDER_TRANSPORT_ERROR';
  return new RuntimeError(kind, undefined, { reason: code ?? 'connection failed' });
}

/** What a vendor package threw while it read a 2xx answer. */
export function answerFailure(thrown: unknown): RuntimeError {
  if (thrown instanceof RuntimeError) return thrown;
  // The package for messages APIs turns an error event at the head of a stream into an exception with its own status.
  if (isObject(thrown) && thrown['statusCode'] !== 200 && typeof thrown['responseBody'] === 'string') {
    return eventFailure(parsed(thrown['responseBody']));
  }
  return malformed('the answer is not of this API');
}

/** The error as the caller may see it: facts of the call added, texts cut, the key taken out. Keeps no cause. */
export function sealed(error: RuntimeError, facts: Record<string, unknown>, key?: string): RuntimeError {
  const details: Record<string, unknown> = {};
  for (const [name, value] of Object.entries({ ...facts, ...error.details })) {
    if (value === undefined) continue;
    // The key goes before the cut: a cut through it would leave a part that no longer looks like it.
    const limit = name === 'provider_code' ? MAX_CODE : name === 'provider_message' ? MAX_SAID : Infinity;
    details[name] = typeof value === 'string' ? cutTo(withoutKey(value, key), limit) : value;
  }
  return new RuntimeError(error.code, withoutKey(error.message, key), details);
}
