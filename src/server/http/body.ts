// Owns the reading of one request body: bounded in bytes and time, JSON-RPC and nothing else, judged as a stdio line is.
import type { IncomingMessage } from 'node:http';
import type { JSONRPCMessage } from '@modelcontextprotocol/server';
import type { Clock } from '../../base/clock.ts';
import { DEFAULT_JSON_LIMITS } from '../../base/json.ts';
import { judgeBytes } from '../line-guard.ts';
import { refusal } from './guard.ts';
import type { Headers, Refusal } from './guard.ts';

export interface BodyLimits {
  maxBytes: number;
  timeoutMs: number;
}

export type Body =
  | { ok: true; message: JSONRPCMessage }
  /** `answered`: the body was read whole, and the refusal is JSON-RPC's with the id of the request. */
  | { ok: false; refusal: Refusal; id?: string | number | null }
  /** The client left; nobody is there to answer. */
  | { ok: false; gone: true };

type Read = { kind: 'bytes'; bytes: Buffer } | { kind: 'too_large' | 'too_slow' | 'gone' };

/** Holds at most `maxBytes`; stops reading at the first byte too many. */
function readBytes(req: IncomingMessage, limits: BodyLimits, clock: Clock): Promise<Read> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let held = 0;
    const settle = (read: Read): void => {
      cancelTimer();
      req.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
      if (read.kind !== 'bytes') req.pause();
      resolve(read);
    };
    const onData = (chunk: Buffer): void => {
      held += chunk.length;
      if (held > limits.maxBytes) settle({ kind: 'too_large' });
      else parts.push(chunk);
    };
    const onEnd = (): void => settle({ kind: 'bytes', bytes: Buffer.concat(parts) });
    const onGone = (): void => settle({ kind: 'gone' });
    const cancelTimer = clock.after(limits.timeoutMs, () => settle({ kind: 'too_slow' }));
    req.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
}

function judge(bytes: Buffer): Body {
  const event = judgeBytes(bytes, DEFAULT_JSON_LIMITS.maxDepth, 'body');
  if (event.kind === 'message') return { ok: true, message: event.message };
  const { id, code, message } = event;
  return { ok: false, id, refusal: { status: 400, code, message } };
}

export async function readBody(
  req: IncomingMessage,
  headers: Headers,
  limits: BodyLimits,
  clock: Clock,
): Promise<Body> {
  const encoding = headers.get('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return {
      ok: false,
      refusal: refusal(415, 'A compressed body is not taken; send it without Content-Encoding.'),
    };
  }
  const tooLarge = refusal(413, `The body is longer than ${limits.maxBytes} bytes.`);
  if (Number(headers.get('content-length') ?? 0) > limits.maxBytes) return { ok: false, refusal: tooLarge };
  const read = await readBytes(req, limits, clock);
  switch (read.kind) {
    case 'bytes':
      return judge(read.bytes);
    case 'too_large':
      return { ok: false, refusal: tooLarge };
    case 'too_slow':
      return { ok: false, refusal: refusal(408, `The body did not arrive within ${limits.timeoutMs} ms.`) };
    case 'gone':
      return { ok: false, gone: true };
  }
}
