// Owns the writing of answers: refusals as JSON-RPC errors, the SDK's responses as they come, and neither of them for
// longer than the client takes it. A client that stops reading loses its connection, not our memory.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { Refusal } from './guard.ts';

export interface Writing {
  clock: Clock;
  /** How long nothing of what is written may be taken. */
  timeoutMs: number;
}

/** On every answer: none is for a cache, and none is anything but what it says it is. */
const ALWAYS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/** Resolves when everything is with the operating system or the connection is gone; ends a connection that takes nothing. */
function finished(res: ServerResponse, { clock, timeoutMs }: Writing): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      cancelTimer();
      resolve();
    };
    const cancelTimer = clock.after(timeoutMs, () => {
      res.socket?.destroy();
      resolve();
    });
    res.once('finish', settle).once('close', settle);
    if (res.writableFinished || res.destroyed) settle();
  });
}

/** Answers with an error body. The connection is given up: an unread rest of the request must not be read as the next. */
export async function refuse(
  res: ServerResponse,
  refusal: Refusal,
  writing: Writing,
  id: string | number | null = null,
): Promise<void> {
  if (res.headersSent || res.destroyed) return;
  const { status, code, message, headers = {} } = refusal;
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id });
  res.writeHead(status, {
    ...ALWAYS,
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(res.req.complete ? {} : { connection: 'close' }),
  });
  res.end(body);
  await finished(res, writing);
}

/** False when the client took nothing in time, or is gone. */
function drained(res: ServerResponse, { clock, timeoutMs }: Writing): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (ok: boolean): void => {
      cancelTimer();
      res.off('drain', onDrain).off('close', onClose);
      resolve(ok);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const cancelTimer = clock.after(timeoutMs, () => settle(false));
    res.on('drain', onDrain).on('close', onClose);
  });
}

function headersOf(response: Response): Record<string, string> {
  const headers: Record<string, string> = { ...ALWAYS };
  response.headers.forEach((value, name) => {
    // The connection is ours to keep or close.
    if (name !== 'connection') headers[name] = value;
  });
  return headers;
}

async function stream(
  res: ServerResponse,
  body: ReadableStream<Uint8Array>,
  writing: Writing,
): Promise<void> {
  const reader = body.getReader();
  const leave = (): void => void reader.cancel().catch(() => undefined);
  res.once('close', leave);
  res.flushHeaders();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (!res.write(next.value) && !(await drained(res, writing))) {
        res.socket?.destroy();
        leave();
        return;
      }
    }
  } catch {
    // The producer broke off; the client sees its stream end without an answer.
  } finally {
    res.off('close', leave);
  }
  res.end();
  await finished(res, writing);
}

/** Sends a response of the SDK; resolves when it is over, whoever ended it. */
export async function send(res: ServerResponse, response: Response, writing: Writing): Promise<void> {
  if (res.destroyed) {
    await response.body?.cancel().catch(() => undefined);
    return;
  }
  const headers = headersOf(response);
  if (response.body === null) {
    res.writeHead(response.status, headers).end();
    return finished(res, writing);
  }
  if (headers['content-type']?.startsWith('text/event-stream') === true) {
    res.writeHead(response.status, headers);
    return stream(res, response.body, writing);
  }
  const body = Buffer.from(await response.arrayBuffer());
  res.writeHead(response.status, { ...headers, 'content-length': body.length });
  res.end(body);
  await finished(res, writing);
}
