// Owns the trial compilation of an unusual schema in a thread of its own, where taking too long harms nobody.
import { parentPort, workerData } from 'node:worker_threads';
import type { JsonObject } from '../../base/json.ts';
import { compileSchema } from './schema-compile.ts';

try {
  await compileSchema(workerData as JsonObject);
  parentPort?.postMessage({ ok: true });
} catch (error) {
  parentPort?.postMessage({ ok: false, reason: (error as Error).message });
}
