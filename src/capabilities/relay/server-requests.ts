// Owns what is answered to a server that asks for something: a person's input, the client's model or its roots through the
// call that it belongs to, roots as configured, and for everything else a refusal that is told to the record.
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { CallEars, CallsInFlight } from './calls-in-flight.ts';
import type { Need } from './question.ts';

export interface RequestPolicy {
  elicitation: boolean;
  /** Servers may ask the model of the client behind a call. */
  sampling: boolean;
  /** Told to a server that asks for roots; client: those of the client behind the call; undefined: refused. */
  roots: readonly { uri: string; name?: string }[] | 'client' | undefined;
  /** A request that was refused or belonged to nobody. */
  onRefused?: (method: string, why: string) => void;
}

type Judged =
  { kind: 'told'; result: Record<string, unknown> } | { kind: 'ask' } | { kind: 'no'; why: string };

const ASK: Judged = { kind: 'ask' };

/** By configuration alone, whoever asks. */
function judge(method: string, { elicitation, sampling, roots }: RequestPolicy): Judged {
  switch (method) {
    case 'elicitation/create':
      return elicitation ? ASK : { kind: 'no', why: 'nobody is asked here' };
    case 'roots/list':
      if (roots === 'client') return ASK;
      return roots === undefined
        ? { kind: 'no', why: 'no roots are told here' }
        : { kind: 'told', result: { roots } };
    case 'sampling/createMessage':
      return sampling ? ASK : { kind: 'no', why: 'no model is lent to servers' };
    default:
      return { kind: 'no', why: 'it is not known here' };
  }
}

function refuse({ onRefused }: RequestPolicy, method: string, why: string): RuntimeError {
  onRefused?.(method, why);
  return new RuntimeError('POLICY_DENIED', `${method} is refused: ${why}`);
}

/** The result for the server, or throws a refusal. Parameters are untrusted. */
export async function answerServer(
  request: { method: string; params?: unknown },
  calls: CallsInFlight,
  policy: RequestPolicy,
): Promise<Record<string, unknown>> {
  const { method, params } = request;
  const judged = judge(method, policy);
  if (judged.kind === 'no') throw refuse(policy, method, judged.why);
  if (judged.kind === 'told') return judged.result;
  const asker = calls.asker();
  if (asker === undefined) {
    const why = 'it belongs to no single call';
    if (method !== 'elicitation/create') throw refuse(policy, method, why);
    policy.onRefused?.(method, why);
    return { action: 'cancel' };
  }
  const [result] = (await asker.ask([{ method, params }] satisfies Need[])) as unknown[];
  return isObject(result) ? result : { action: 'cancel' };
}

/** What a modern server needs before it goes on, each under its own key; all of it is asked for together. */
export async function answerNeeds(
  requests: Record<string, unknown>,
  ears: Pick<CallEars, 'ask'>,
  policy: RequestPolicy,
): Promise<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  const needs: (Need & { key: string })[] = [];
  for (const [key, request] of Object.entries(requests)) {
    const method = isObject(request) && typeof request['method'] === 'string' ? request['method'] : '';
    const judged = judge(method, policy);
    if (judged.kind === 'no') throw refuse(policy, method, judged.why);
    if (judged.kind === 'told') out[key] = judged.result;
    else needs.push({ key, method, params: isObject(request) ? request['params'] : undefined });
  }
  if (needs.length === 0) return out;
  const results = (await ears.ask(needs)) as unknown[];
  for (const [at, { key }] of needs.entries()) out[key] = results[at];
  return out;
}
