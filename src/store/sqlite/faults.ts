// Owns the meaning of engine errors: try again, unavailable, or corrupt; and the patience with a busy file.
import { setTimeout as sleep } from 'node:timers/promises';
import { asRuntimeError, RuntimeError } from '../../base/errors.ts';

function engineCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** Another process holds the file; the same call may succeed in a moment. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(engineCode(error));
}

/** The error a caller of the store sees. */
export function storeError(error: unknown, doing: string): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const code = engineCode(error);
  const details = { doing, engine_code: code };
  if (/^SQLITE_(CORRUPT|NOTADB|CONSTRAINT)/.test(code)) {
    return caused(new RuntimeError('STORE_CORRUPT', `The state file is damaged (${doing}).`, details), error);
  }
  const isEngine = code.startsWith('SQLITE_') || String(error).includes('ConnectionFailed');
  // Errors of the file system reach us from blobs, keys and the first look at the file.
  const isSystem = /^E[A-Z0-9]+$/.test(code);
  if (!isEngine && !isSystem) return asRuntimeError(error);
  const sentence = isBusy(error)
    ? `Another process holds the state file (${doing}).`
    : `The state file cannot be used (${doing}): ${code === '' ? 'it cannot be opened' : code}.`;
  return caused(new RuntimeError('STORE_UNAVAILABLE', sentence, details), error);
}

function caused(error: RuntimeError, cause: unknown): RuntimeError {
  error.cause = cause;
  return error;
}

// Each try blocks for the connection's own short time-out; between tries the event loop runs. In all about 5 s.
const PAUSES_MS = [2, 5, 10, 20, 40, 80, 120, 160, ...Array<number>(23).fill(200)];

/**
 * Runs `tryOnce` until it is not busy any more; the last busy error is thrown. Real time on purpose: the other
 * process does not live by our clock.
 */
export async function whenFree<T>(tryOnce: () => T | Promise<T>): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await tryOnce();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    await sleep(pause);
  }
  return tryOnce();
}

/** A read as the port promises it: patient with a busy file, and with errors in the port's words. */
export async function answer<T>(doing: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isBusy(error)) throw storeError(error, doing);
  }
  try {
    return await whenFree(read);
  } catch (error) {
    throw storeError(error, doing);
  }
}
