// Owns the word for where a turn's model ran: told by the kind of provider that was asked and by the address of the request
// that was really made, never by what is configured now.
import { isObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/** `local`: over HTTP, on the machine of the runtime. */
export type ExecutionPath = 'stub' | 'local' | 'hosted';

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Of the evidence of an ended turn; undefined where no model was asked, so that none ran anywhere. */
export function executionPath(evidence: JsonObject): ExecutionPath | undefined {
  const { provider, details } = evidence;
  // A call that failed is told in the details of its failure.
  const called = evidence.provider_call_count === 1 ? evidence : details;
  if (!isObject(provider) || !isObject(called) || typeof called['attempts'] !== 'number') return undefined;
  if (provider['kind'] === 'scripted') return 'stub';
  const url = called['request_url'];
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  return isLoopback(new URL(url).hostname) ? 'local' : 'hosted';
}
